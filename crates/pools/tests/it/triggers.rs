//! The triggers around sign-up, sign-in and tokens.

use serde_json::{Value, json};

use crate::harness::{PASSWORD, World, attributes, text, worlds};

fn claims(token: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL};
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL.decode(payload).unwrap()).unwrap()
}

async fn pool_with(world: &World, triggers: Value) -> (String, String) {
    let pool = world.create_pool(json!({ "LambdaConfig": triggers })).await;
    let client = text(&world.create_client(&pool, json!({})).await, "ClientId");
    (pool, client)
}

async fn sign_up(world: &World, client: &str, username: &str) -> crate::harness::Answer {
    world
        .call(
            "SignUp",
            json!({
                "ClientId": client, "Username": username, "Password": PASSWORD,
                "UserAttributes": [{ "Name": "email", "Value": "ann@example.com" }],
                "ValidationData": [{ "Name": "code", "Value": "red" }],
                "ClientMetadata": { "k": "v" },
            }),
        )
        .await
}

#[tokio::test]
async fn pre_sign_up_can_confirm_verify_and_refuse() {
    for world in worlds().await {
        let pre = "
            if (event.userName === 'mallory') throw new Error('Not you');
            if (event.request.validationData.code !== 'red') throw new Error('validationData');
            if (event.request.clientMetadata.k !== 'v') throw new Error('clientMetadata');
            if (event.request.userAttributes.sub) throw new Error('sub');
            event.response.autoConfirmUser = true;
            event.response.autoVerifyEmail = true;
            return event;";
        let post = "if (event.request.userAttributes['cognito:user_status'] !== 'CONFIRMED')
                throw new Error('status');
            if (event.userName === 'late') throw new Error('too late');
            return event;";
        let triggers = json!({
            "PreSignUp": world.create_function("pre", pre).await,
            "PostConfirmation": world.create_function("post", post).await,
        });
        let (pool, client) = pool_with(&world, triggers).await;
        let answer = sign_up(&world, &client, "ann").await.ok();
        assert_eq!(answer["UserConfirmed"], true);
        assert!(answer.get("CodeDeliveryDetails").is_none());
        let user = world.find_user(&pool, "ann").await.ok();
        assert_eq!(user["UserStatus"], "CONFIRMED");
        assert_eq!(attributes(&user)["email_verified"], "true");

        sign_up(&world, &client, "mallory").await.refused_with(
            "UserLambdaValidationException",
            "PreSignUp failed with error Not you.",
        );
        let (exception, _) = world.find_user(&pool, "mallory").await.refused();
        assert_eq!(exception, "UserNotFoundException");
        // PostConfirmation comes too late to take the user back.
        sign_up(&world, &client, "late").await.refused_with(
            "UserLambdaValidationException",
            "PostConfirmation failed with error too late.",
        );
        let user = world.find_user(&pool, "late").await.ok();
        assert_eq!(user["UserStatus"], "CONFIRMED");
        world
            .call(
                "SignUp",
                json!({
                    "ClientId": client, "Username": "bare", "Password": PASSWORD,
                    "ValidationData": [{ "Name": "code", "Value": "red" }],
                    "ClientMetadata": { "k": "v" },
                }),
            )
            .await
            .refused_with(
                "InvalidLambdaResponseException",
                "Unrecognizable lambda output",
            );
        world.functions.shutdown().await;
    }
}

#[tokio::test]
async fn a_confirmation_by_an_administrator_has_no_client() {
    for world in worlds().await {
        let post = "throw new Error(JSON.stringify([event.callerContext, event.request.clientMetadata ?? 'absent']));";
        let triggers = json!({ "PostConfirmation": world.create_function("post", post).await });
        let (pool, client) = pool_with(&world, triggers).await;
        sign_up(&world, &client, "ann").await.ok();
        world
            .signed(
                "AdminConfirmSignUp",
                json!({ "UserPoolId": pool, "Username": "ann" }),
            )
            .await
            .refused_with(
                "UserLambdaValidationException",
                "PostConfirmation failed with error \
                 [{\"awsSdkVersion\":\"aws-sdk-unknown-unknown\",\"clientId\":null},\"absent\"].",
            );
        let user = world.find_user(&pool, "ann").await.ok();
        assert_eq!(user["UserStatus"], "CONFIRMED");
        world.functions.shutdown().await;
    }
}

#[tokio::test]
async fn sign_in_triggers_run_in_order_and_shape_the_tokens() {
    for world in worlds().await {
        let pre = "if (event.request.validationData.pass !== 'yes') throw new Error('no pass');
            return event;";
        let post = "if (event.request.newDeviceUsed !== false || 'clientMetadata' in event.request)
                throw new Error('shape');
            return event;";
        let token = "
            const { triggerSource, request } = event;
            event.response.claimsOverrideDetails = {
                claimsToAddOrOverride: { source: triggerSource, sub: 'forged' },
                claimsToSuppress: ['email'],
                groupOverrideDetails: { groupsToOverride: ['staff'] },
            };
            return event;";
        let triggers = json!({
            "PreAuthentication": world.create_function("pre", pre).await,
            "PostAuthentication": world.create_function("post", post).await,
            "PreTokenGeneration": world.create_function("token", token).await,
        });
        let (pool, client) = pool_with(&world, triggers).await;
        let sub = text(&sign_up(&world, &client, "ann").await.ok(), "UserSub");
        world
            .signed(
                "AdminConfirmSignUp",
                json!({ "UserPoolId": pool, "Username": "ann" }),
            )
            .await
            .ok();
        let sign_in = |pass: &'static str| {
            world.call(
                "InitiateAuth",
                json!({
                    "AuthFlow": "USER_PASSWORD_AUTH", "ClientId": client,
                    "AuthParameters": { "USERNAME": "ann", "PASSWORD": PASSWORD },
                    "ClientMetadata": { "pass": pass },
                }),
            )
        };
        sign_in("no").await.refused_with(
            "UserLambdaValidationException",
            "PreAuthentication failed with error no pass.",
        );
        let answer = sign_in("yes").await.ok();
        let result = &answer["AuthenticationResult"];
        let id = claims(&text(result, "IdToken"));
        assert_eq!(id["source"], "TokenGeneration_Authentication");
        assert_eq!(id["sub"], sub);
        assert!(id.get("email").is_none());
        let access = claims(&text(result, "AccessToken"));
        assert!(access.get("source").is_none());
        for claims in [&id, &access] {
            assert_eq!(claims["cognito:groups"], json!(["staff"]));
        }
        let refreshed = world
            .refresh(&client, &text(result, "RefreshToken"))
            .await
            .ok();
        let id = claims(&text(&refreshed["AuthenticationResult"], "IdToken"));
        assert_eq!(id["source"], "TokenGeneration_RefreshTokens");
        world.functions.shutdown().await;
    }
}

#[tokio::test]
async fn the_second_form_of_the_token_trigger_changes_the_access_token_too() {
    for world in worlds().await {
        let token = "
            event.response.claimsAndScopeOverrideDetails = {
                accessTokenGeneration: {
                    claimsToAddOrOverride: { plan: { name: 'gold', seats: 3 } },
                    scopesToAdd: event.request.scopes.map((scope) => scope + '.more'),
                },
            };
            return event;";
        let arn = world.create_function("token", token).await;
        let triggers = json!({
            "PreTokenGenerationConfig": { "LambdaVersion": "V2_0", "LambdaArn": arn },
        });
        let (pool, client) = pool_with(&world, triggers).await;
        world.confirmed(&pool, &client, "ann").await;
        let result = world.signed_in(&client, "ann").await;
        let access = claims(&text(&result, "AccessToken"));
        assert_eq!(access["plan"], json!({ "name": "gold", "seats": 3 }));
        assert_eq!(
            access["scope"],
            "aws.cognito.signin.user.admin aws.cognito.signin.user.admin.more"
        );
        world.functions.shutdown().await;
    }
}
