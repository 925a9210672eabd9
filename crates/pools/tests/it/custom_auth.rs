//! Custom authentication through small Node.js functions: the whole loop, what functions see, and
//! what becomes of their failures.

use serde_json::{Value, json};

use crate::harness::{World, text, worlds, worlds_with};

const DEFINE: &str = "
    const last = event.request.session.at(-1);
    if (last === undefined) event.response.challengeName = 'CUSTOM_CHALLENGE';
    else if (last.challengeResult) event.response.issueTokens = true;
    else if (event.request.session.length < 2) event.response.challengeName = 'CUSTOM_CHALLENGE';
    else event.response.failAuthentication = true;
    return event;";

/// Like the guide's: public parameters only.
const CREATE: &str = "
    event.response.publicChallengeParameters = { event: JSON.stringify(event) };
    return event;";

const VERIFY: &str = "
    if (event.request.challengeAnswer === 'throw') throw new Error('no such nonce.');
    if (event.request.challengeAnswer === 'show') throw new Error(JSON.stringify(event));
    event.response.answerCorrect = event.request.challengeAnswer === 'right';
    return event;";

struct Setup {
    pool: String,
    client: String,
    sub: String,
}

async fn set_up(world: &World, [define, create, verify]: [&str; 3], client: Value) -> Setup {
    let triggers = json!({
        "DefineAuthChallenge": world.create_function("define", define).await,
        "CreateAuthChallenge": world.create_function("create", create).await,
        "VerifyAuthChallengeResponse": world.create_function("verify", verify).await,
    });
    let pool = world
        .create_pool(json!({ "UsernameAttributes": ["email"], "LambdaConfig": triggers }))
        .await;
    let client = text(&world.create_client(&pool, client).await, "ClientId");
    let sub = world.confirmed(&pool, &client, "ann@example.com").await;
    Setup { pool, client, sub }
}

impl World {
    async fn start_custom(&self, client: &str, username: &str) -> crate::harness::Answer {
        self.call(
            "InitiateAuth",
            json!({
                "AuthFlow": "CUSTOM_AUTH",
                "ClientId": client,
                "AuthParameters": { "USERNAME": username },
                "ClientMetadata": { "seen": "never" },
            }),
        )
        .await
    }

    async fn answer_custom(
        &self,
        client: &str,
        username: &str,
        session: &Value,
        answer: &str,
    ) -> crate::harness::Answer {
        self.call(
            "RespondToAuthChallenge",
            json!({
                "ClientId": client,
                "ChallengeName": "CUSTOM_CHALLENGE",
                "Session": session,
                "ChallengeResponses": { "USERNAME": username, "ANSWER": answer },
                "ClientMetadata": { "seen": "yes" },
            }),
        )
        .await
    }
}

#[tokio::test]
async fn a_right_answer_signs_in_and_functions_see_exactly_what_they_should() {
    for world in worlds().await {
        let Setup { pool, client, sub } = set_up(&world, [DEFINE, CREATE, VERIFY], json!({})).await;
        let challenge = world.start_custom(&client, "ann@example.com").await.ok();
        assert_eq!(challenge["ChallengeName"], "CUSTOM_CHALLENGE");
        assert_eq!(challenge["ChallengeParameters"]["USERNAME"], sub);
        let attributes = json!({
            "sub": sub, "cognito:user_status": "CONFIRMED", "email": "ann@example.com",
            "email_verified": "false", "cognito:email_alias": "ann@example.com",
        });
        let seen = text(&challenge["ChallengeParameters"], "event");
        assert_eq!(
            serde_json::from_str::<Value>(&seen).unwrap(),
            json!({
                "version": "1", "region": "us-east-1", "userPoolId": pool, "userName": sub,
                "callerContext": { "awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": client },
                "triggerSource": "CreateAuthChallenge_Authentication",
                "request": {
                    "userAttributes": attributes, "challengeName": "CUSTOM_CHALLENGE",
                    "session": [],
                },
                "response": {
                    "publicChallengeParameters": null, "privateChallengeParameters": null,
                    "challengeMetadata": null,
                },
            })
        );
        let (_, message) = world
            .answer_custom(&client, &sub, &challenge["Session"], "show")
            .await
            .refused();
        let seen = message
            .strip_prefix("VerifyAuthChallengeResponse failed with error ")
            .and_then(|rest| rest.strip_suffix('.'))
            .unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(seen).unwrap()["request"],
            json!({
                "userAttributes": attributes, "privateChallengeParameters": {},
                "challengeAnswer": "show", "clientMetadata": { "seen": "yes" },
            })
        );

        let challenge = world.start_custom(&client, "ann@example.com").await.ok();
        let answer = world
            .answer_custom(&client, "ann@example.com", &challenge["Session"], "right")
            .await
            .ok();
        assert_eq!(answer["ChallengeParameters"], json!({}));
        let token = &answer["AuthenticationResult"]["AccessToken"];
        let user = world
            .call("GetUser", json!({ "AccessToken": token }))
            .await
            .ok();
        assert_eq!(user["Username"], sub);
        world.functions.shutdown().await;
    }
}

#[tokio::test]
async fn a_wrong_answer_goes_on_until_define_ends_it() {
    for world in worlds().await {
        let Setup { client, sub, .. } = set_up(&world, [DEFINE, CREATE, VERIFY], json!({})).await;
        let first = world.start_custom(&client, &sub).await.ok();
        let second = world
            .answer_custom(&client, &sub, &first["Session"], "wrong")
            .await
            .ok();
        assert_ne!(first["Session"], second["Session"]);
        let seen = text(&second["ChallengeParameters"], "event");
        assert_eq!(
            serde_json::from_str::<Value>(&seen).unwrap()["request"]["session"],
            json!([{
                "challengeName": "CUSTOM_CHALLENGE", "challengeResult": false,
                "challengeMetadata": null,
            }])
        );
        assert!(!seen.contains("seen"), "{seen}");
        world
            .answer_custom(&client, &sub, &second["Session"], "wrong")
            .await
            .refused_with("NotAuthorizedException", "Incorrect username or password.");
        world.functions.shutdown().await;
    }
}

#[tokio::test]
async fn a_session_is_used_once_in_time_by_its_client_and_user() {
    for world in worlds().await {
        let Setup { pool, client, sub } = set_up(&world, [DEFINE, CREATE, VERIFY], json!({})).await;
        world.confirmed(&pool, &client, "bob@example.com").await;
        let other = text(&world.create_client(&pool, json!({})).await, "ClientId");
        let denied = "NotAuthorizedException";
        let challenge = world.start_custom(&client, &sub).await.ok();
        let session = &challenge["Session"];
        world
            .answer_custom(&other, &sub, session, "right")
            .await
            .refused_with(denied, "Invalid session for the user.");
        world
            .answer_custom(&client, "bob@example.com", session, "right")
            .await
            .refused_with(denied, "Invalid session for the user.");
        world
            .answer_custom(&client, "nobody@example.com", session, "right")
            .await
            .refused_with(denied, "Invalid session for the user.");
        world
            .answer_custom(
                &client,
                &sub,
                &json!("made-up-session-of-some-length"),
                "right",
            )
            .await
            .refused_with(denied, "Invalid session for the user.");
        world
            .call(
                "RespondToAuthChallenge",
                json!({
                    "ClientId": client, "ChallengeName": "NEW_PASSWORD_REQUIRED",
                    "Session": session,
                    "ChallengeResponses": { "USERNAME": sub, "NEW_PASSWORD": "Other-horse-1" },
                }),
            )
            .await
            .refused_with(denied, "Invalid session for the user.");
        // None of these used it up; of two answers at once one is looked at.
        let (one, other) = tokio::join!(
            world.answer_custom(&client, &sub, session, "right"),
            world.answer_custom(&client, &sub, session, "right"),
        );
        let loser = if one.status == 200 {
            other
        } else {
            assert_eq!(other.status, 200);
            one
        };
        loser.refused_with(
            denied,
            "Invalid session for the user, session can only be used once.",
        );
        let challenge = world.start_custom(&client, &sub).await.ok();
        world.wait_s(180);
        world
            .answer_custom(&client, &sub, &challenge["Session"], "right")
            .await
            .refused_with(denied, "Invalid session for the user, session is expired.");
        world.pools.sweep().await.unwrap();
        world.wait_s(1);
        world.pools.sweep().await.unwrap();
        world
            .answer_custom(&client, &sub, &challenge["Session"], "right")
            .await
            .refused_with(denied, "Invalid session for the user.");
        world.functions.shutdown().await;
    }
}

#[tokio::test]
async fn answers_lack_nothing() {
    for world in worlds().await {
        let (_, client) = world.email_pool().await;
        let session = "x".repeat(20);
        for (session, responses, message) in [
            (None, json!({}), "Missing required parameter Session"),
            (
                Some(&session),
                json!({}),
                "Missing required parameter USERNAME",
            ),
            (
                Some(&session),
                json!({ "USERNAME": "a" }),
                "Missing required parameter ANSWER",
            ),
        ] {
            world
                .call(
                    "RespondToAuthChallenge",
                    json!({
                        "ClientId": client, "ChallengeName": "CUSTOM_CHALLENGE",
                        "Session": session, "ChallengeResponses": responses,
                    }),
                )
                .await
                .refused_with("InvalidParameterException", message);
        }
        world
            .call(
                "RespondToAuthChallenge",
                json!({ "ClientId": client, "ChallengeName": "PASSWORD_VERIFIER" }),
            )
            .await
            .refused_with(
                "InvalidParameterException",
                "PASSWORD_VERIFIER is not supported by this server.",
            );
    }
}

#[tokio::test]
async fn nobody_is_challenged_where_the_client_hides_it_and_never_signed_in() {
    for world in worlds().await {
        let define = "
            event.response.issueTokens = event.request.session.length > 0;
            event.response.challengeName = 'CUSTOM_CHALLENGE';
            return event;";
        let Setup { pool, client, .. } = set_up(
            &world,
            [define, CREATE, VERIFY],
            json!({ "PreventUserExistenceErrors": "ENABLED" }),
        )
        .await;
        let known = world.start_custom(&client, "ann@example.com").await.ok();
        let seen: Value =
            serde_json::from_str(&text(&known["ChallengeParameters"], "event")).unwrap();
        assert_eq!(seen["request"]["userNotFound"], false);

        let nobody = world.start_custom(&client, "nobody@example.com").await.ok();
        let seen: Value =
            serde_json::from_str(&text(&nobody["ChallengeParameters"], "event")).unwrap();
        assert_eq!(seen["userName"], "nobody@example.com");
        assert_eq!(
            seen["request"],
            json!({
                "userAttributes": { "cognito:default_val": "" },
                "challengeName": "CUSTOM_CHALLENGE", "session": [], "userNotFound": true,
            })
        );
        // A made-up username, as of anybody, and the same one each time.
        let shown = text(&nobody["ChallengeParameters"], "USERNAME");
        let again = world.start_custom(&client, "nobody@example.com").await.ok();
        assert_eq!(shown, text(&again["ChallengeParameters"], "USERNAME"));
        assert_eq!(
            shown.len(),
            text(&known["ChallengeParameters"], "USERNAME").len()
        );
        for (session, username) in [
            (&nobody["Session"], "nobody@example.com"),
            (&again["Session"], shown.as_str()),
        ] {
            world
                .answer_custom(&client, username, session, "right")
                .await
                .refused_with("NotAuthorizedException", "Incorrect username or password.");
        }
        let legacy = text(&world.create_client(&pool, json!({})).await, "ClientId");
        world
            .start_custom(&legacy, "nobody@example.com")
            .await
            .refused_with("UserNotFoundException", "User does not exist.");
        world.functions.shutdown().await;
    }
}

#[tokio::test]
async fn an_unconfirmed_user_is_told_so_before_any_function_runs() {
    for world in worlds().await {
        let Setup { client, .. } = set_up(&world, [DEFINE, CREATE, VERIFY], json!({})).await;
        world.sign_up(&client, "bob@example.com").await;
        world
            .start_custom(&client, "bob@example.com")
            .await
            .refused_with("UserNotConfirmedException", "User is not confirmed.");
        world.functions.shutdown().await;
    }
}

#[tokio::test]
async fn private_parameters_and_metadata_reach_the_functions_and_not_the_client() {
    for world in worlds().await {
        let create = "
            event.response.publicChallengeParameters = { session: JSON.stringify(event.request.session) };
            event.response.privateChallengeParameters = { secret: 'squirrel' };
            event.response.challengeMetadata = 'ROUND_' + event.request.session.length;
            return event;";
        let verify = "
            event.response.answerCorrect =
                event.request.challengeAnswer === event.request.privateChallengeParameters.secret;
            return event;";
        let Setup { client, sub, .. } = set_up(&world, [DEFINE, create, verify], json!({})).await;
        let first = world.start_custom(&client, &sub).await.ok();
        assert_eq!(
            first["ChallengeParameters"],
            json!({ "session": "[]", "USERNAME": sub })
        );
        let second = world
            .answer_custom(&client, &sub, &first["Session"], "nut")
            .await
            .ok();
        let session = text(&second["ChallengeParameters"], "session");
        assert_eq!(
            serde_json::from_str::<Value>(&session).unwrap(),
            json!([{
                "challengeName": "CUSTOM_CHALLENGE", "challengeResult": false,
                "challengeMetadata": "ROUND_0",
            }])
        );
        world
            .answer_custom(&client, &sub, &second["Session"], "squirrel")
            .await
            .ok();
        world.functions.shutdown().await;
    }
}

#[tokio::test]
async fn a_function_that_fails_gives_the_contracts_exception_and_the_next_sign_in_works() {
    for world in worlds().await {
        let define = "
            const how = event.request.userAttributes.name;
            if (how === 'throw') throw new Error('out of order.');
            if (how === 'exit') process.exit(1);
            if (how === 'null') return null;
            if (how === 'text') return 'text';
            if (how === 'nothing') return { ...event, response: {} };
            if (how === 'type') return { ...event, response: { issueTokens: 'yes' } };
            if (how === 'name') return { ...event, response: { challengeName: 'MINE' } };
            if (how === 'srp') return { ...event, response: { challengeName: 'SRP_A' } };
            event.response.challengeName = 'CUSTOM_CHALLENGE';
            return event;";
        let Setup { pool, client, sub } = set_up(&world, [define, CREATE, VERIFY], json!({})).await;
        for (how, exception, expected) in [
            (
                "throw",
                "UserLambdaValidationException",
                "DefineAuthChallenge failed with error out of order..",
            ),
            (
                "exit",
                "UserLambdaValidationException",
                "Runtime exited with error: exit status 1",
            ),
            (
                "null",
                "InvalidLambdaResponseException",
                "Invalid lambda function output : Invalid JSON",
            ),
            (
                "text",
                "InvalidLambdaResponseException",
                "Invalid lambda function output : Invalid JSON",
            ),
            (
                "nothing",
                "InvalidLambdaResponseException",
                "Unrecognizable lambda output",
            ),
            (
                "type",
                "InvalidLambdaResponseException",
                "Unrecognizable lambda output",
            ),
            (
                "name",
                "InvalidLambdaResponseException",
                "Unrecognizable lambda output",
            ),
            (
                "srp",
                "InvalidParameterException",
                "SRP_A is not supported by this server.",
            ),
        ] {
            let update = |value: &'static str| {
                world.signed(
                    "AdminUpdateUserAttributes",
                    json!({
                        "UserPoolId": pool, "Username": sub,
                        "UserAttributes": [{ "Name": "name", "Value": value }],
                    }),
                )
            };
            update(how).await.ok();
            let refused = world.start_custom(&client, &sub).await.refused();
            assert_eq!(refused.0, exception, "{how}");
            if how == "exit" {
                assert!(refused.1.contains(expected), "{}", refused.1);
            } else {
                assert_eq!(refused.1, expected, "{how}");
            }
            update("").await.ok();
            world.start_custom(&client, &sub).await.ok();
        }

        let challenge = world.start_custom(&client, &sub).await.ok();
        world
            .answer_custom(&client, &sub, &challenge["Session"], "throw")
            .await
            .refused_with(
                "UserLambdaValidationException",
                "VerifyAuthChallengeResponse failed with error no such nonce..",
            );
        let (_, message) = world
            .answer_custom(&client, &sub, &challenge["Session"], "right")
            .await
            .refused();
        assert_eq!(
            message,
            "Invalid session for the user, session can only be used once."
        );
        world.functions.shutdown().await;
    }
}

#[tokio::test]
async fn ten_wrong_rounds_end_it_whatever_define_says() {
    for world in worlds().await {
        let define = "event.response.challengeName = 'CUSTOM_CHALLENGE'; return event;";
        let Setup { client, sub, .. } = set_up(&world, [define, CREATE, VERIFY], json!({})).await;
        let mut challenge = world.start_custom(&client, &sub).await.ok();
        for _ in 0..9 {
            challenge = world
                .answer_custom(&client, &sub, &challenge["Session"], "wrong")
                .await
                .ok();
        }
        world
            .answer_custom(&client, &sub, &challenge["Session"], "wrong")
            .await
            .refused_with("NotAuthorizedException", "Incorrect username or password.");
        world.functions.shutdown().await;
    }
}

#[tokio::test]
async fn a_missing_function_is_named_and_a_permission_is_asked_for_when_enforced() {
    for world in worlds_with(|settings| settings.enforce_function_permissions = true).await {
        let Setup { client, sub, .. } = set_up(&world, [DEFINE, CREATE, VERIFY], json!({})).await;
        world.start_custom(&client, &sub).await.refused_with(
            "UnexpectedLambdaException",
            "DefineAuthChallenge invocation failed due to error AccessDeniedException.",
        );
        world.functions.shutdown().await;
    }
    for world in worlds().await {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:nowhere";
        let pool = world
            .create_pool(json!({ "LambdaConfig": {
                "DefineAuthChallenge": arn, "CreateAuthChallenge": arn,
                "VerifyAuthChallengeResponse": arn,
            }}))
            .await;
        let client = text(&world.create_client(&pool, json!({})).await, "ClientId");
        world.confirmed(&pool, &client, "ann").await;
        world.start_custom(&client, "ann").await.refused_with(
            "UnexpectedLambdaException",
            "DefineAuthChallenge invocation failed due to error ResourceNotFoundException.",
        );
    }
}
