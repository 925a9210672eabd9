//! Pools and clients: created, described, replaced, deleted, and whose they are; and the manners of
//! the door.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, text, worlds};

#[tokio::test]
async fn a_pool_is_described_as_created_with_the_defaults() {
    for world in worlds().await {
        let created = world
            .signed(
                "CreateUserPool",
                json!({
                    "PoolName": "shop", "UsernameAttributes": ["email"],
                    "EmailConfiguration": { "From": "shop@example.com" },
                    "Schema": [{ "Name": "plan", "AttributeDataType": "String" }],
                }),
            )
            .await
            .ok();
        let pool = &created["UserPool"];
        let id = text(pool, "Id");
        assert_eq!(id.len(), "us-east-1_".len() + 9);
        assert!(id.starts_with("us-east-1_"));
        let account = &world.organization.account_id;
        let mut expected = json!({
            "Id": id,
            "Name": "shop",
            "Arn": format!("arn:aws:cognito-idp:us-east-1:{account}:userpool/{id}"),
            "Policies": {
                "PasswordPolicy": {
                    "MinimumLength": 8, "RequireUppercase": true, "RequireLowercase": true,
                    "RequireNumbers": true, "RequireSymbols": true,
                    "TemporaryPasswordValidityDays": 7,
                },
                "SignInPolicy": { "AllowedFirstAuthFactors": ["PASSWORD"] },
            },
            "DeletionProtection": "INACTIVE",
            "LambdaConfig": {},
            "MfaConfiguration": "OFF",
            "UserPoolTier": "ESSENTIALS",
            "UserPoolTags": {},
            "EstimatedNumberOfUsers": 0,
            "UsernameAttributes": ["email"],
            "EmailConfiguration": { "From": "shop@example.com" },
            "AdminCreateUserConfig": {
                "AllowAdminCreateUserOnly": false, "UnusedAccountValidityDays": 7,
            },
            "VerificationMessageTemplate": { "DefaultEmailOption": "CONFIRM_WITH_CODE" },
            "CreationDate": 1_800_000_000.0,
            "LastModifiedDate": 1_800_000_000.0,
        });
        expected["SchemaAttributes"] = pool["SchemaAttributes"].clone();
        assert_eq!(*pool, expected);
        let schema = pool["SchemaAttributes"].as_array().unwrap();
        assert_eq!(schema.len(), 21);
        assert_eq!(
            schema[20],
            json!({
                "Name": "custom:plan", "AttributeDataType": "String",
                "DeveloperOnlyAttribute": false, "Mutable": true, "Required": false,
                "StringAttributeConstraints": {},
            })
        );
        let described = world
            .signed("DescribeUserPool", json!({ "UserPoolId": id }))
            .await
            .ok();
        assert_eq!(described, created);
    }
}

#[tokio::test]
async fn an_update_replaces_everything_but_what_is_fixed() {
    for world in worlds().await {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        let pool = world
            .create_pool(json!({
                "UsernameAttributes": ["email"],
                "LambdaConfig": { "PreSignUp": arn },
                "UserPoolTags": { "a": "b" },
            }))
            .await;
        world.wait_s(5);
        let updated = world
            .signed(
                "UpdateUserPool",
                json!({
                    "UserPoolId": pool,
                    "Policies": { "PasswordPolicy": { "MinimumLength": 12 } },
                    "LambdaConfig": { "DefineAuthChallenge": arn },
                }),
            )
            .await
            .ok();
        assert_eq!(updated, json!({}));
        let answer = world
            .signed("DescribeUserPool", json!({ "UserPoolId": pool }))
            .await
            .ok();
        let pool = &answer["UserPool"];
        assert_eq!(pool["Name"], "pool");
        assert_eq!(pool["UsernameAttributes"], json!(["email"]));
        assert_eq!(pool["LambdaConfig"], json!({ "DefineAuthChallenge": arn }));
        assert_eq!(pool["UserPoolTags"], json!({}));
        assert_eq!(pool["Policies"]["PasswordPolicy"]["MinimumLength"], 12);
        assert_eq!(pool["SchemaAttributes"].as_array().unwrap().len(), 20);
        assert_eq!(pool["CreationDate"], 1_800_000_000.0);
        assert_eq!(pool["LastModifiedDate"], 1_800_000_005.0);
    }
}

#[tokio::test]
async fn pools_are_refused_in_the_words_of_the_contract() {
    for world in worlds().await {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        for (input, message) in [
            (
                json!({ "AliasAttributes": ["email"], "UsernameAttributes": ["email"] }),
                "Only one of the aliasAttributes or usernameAttributes can be set in a user pool.",
            ),
            (
                json!({ "Schema": [{ "Name": "x", "AttributeDataType": "String", "Required": true }] }),
                "Required custom attributes are not supported currently.",
            ),
            (
                json!({ "LambdaConfig": { "CustomMessage": arn } }),
                "LambdaConfig CustomMessage is not supported by this server.",
            ),
            (
                json!({ "LambdaConfig": { "PreSignUp": "not-an-arn-but-long-enough" } }),
                "1 validation error detected: Value 'not-an-arn-but-long-enough' at \
                 'lambdaConfig.preSignUp' failed to satisfy constraint: Member must satisfy regular \
                 expression pattern: arn:[\\w+=/,.@-]+:[\\w+=/,.@-]+:([\\w+=/,.@-]*)?:[0-9]+:\
                 [\\w+=/,.@-]+(:[\\w+=/,.@-]+)?(:[\\w+=/,.@-]+)?",
            ),
            (
                json!({ "Policies": { "PasswordPolicy": { "MinimumLength": 5 } } }),
                "1 validation error detected: Value '5' at 'policies.passwordPolicy.minimumLength' \
                 failed to satisfy constraint: Member must have value greater than or equal to 6",
            ),
        ] {
            let mut request = json!({ "PoolName": "p" });
            for (name, value) in input.as_object().unwrap() {
                request[name] = value.clone();
            }
            world
                .signed("CreateUserPool", request)
                .await
                .refused_with("InvalidParameterException", message);
        }
        world
            .signed(
                "DescribeUserPool",
                json!({ "UserPoolId": "us-east-1_nobody000" }),
            )
            .await
            .refused_with(
                "ResourceNotFoundException",
                "User pool us-east-1_nobody000 does not exist.",
            );
    }
}

#[tokio::test]
async fn a_client_is_described_as_created_with_the_defaults() {
    for world in worlds().await {
        let pool = world.create_pool(json!({})).await;
        let created = world
            .signed(
                "CreateUserPoolClient",
                json!({ "UserPoolId": pool, "ClientName": "app", "GenerateSecret": true }),
            )
            .await
            .ok();
        let client = &created["UserPoolClient"];
        let id = text(client, "ClientId");
        assert!(
            id.len() == 26
                && id
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
        );
        assert_eq!(
            *client,
            json!({
                "UserPoolId": pool, "ClientName": "app", "ClientId": id,
                "ClientSecret": client["ClientSecret"],
                "RefreshTokenValidity": 30, "TokenValidityUnits": {}, "AuthSessionValidity": 3,
                "AllowedOAuthFlowsUserPoolClient": false, "EnableTokenRevocation": true,
                "EnablePropagateAdditionalUserContextData": false,
                "CreationDate": 1_800_000_000.0, "LastModifiedDate": 1_800_000_000.0,
            })
        );
        assert_eq!(text(client, "ClientSecret").len(), 51);
        let described = world
            .signed(
                "DescribeUserPoolClient",
                json!({ "UserPoolId": pool, "ClientId": id }),
            )
            .await
            .ok();
        assert_eq!(described, created);
        let other = world.create_pool(json!({})).await;
        world
            .signed(
                "DescribeUserPoolClient",
                json!({ "UserPoolId": other, "ClientId": id }),
            )
            .await
            .refused_with(
                "ResourceNotFoundException",
                &format!("User pool client {id} does not exist."),
            );

        let updated = world
            .signed(
                "UpdateUserPoolClient",
                json!({
                    "UserPoolId": pool, "ClientId": id,
                    "ExplicitAuthFlows": ["ALLOW_CUSTOM_AUTH"], "AuthSessionValidity": 15,
                }),
            )
            .await
            .ok();
        let updated = &updated["UserPoolClient"];
        assert_eq!(updated["ClientName"], "app");
        assert_eq!(updated["ClientSecret"], client["ClientSecret"]);
        assert_eq!(updated["AuthSessionValidity"], 15);
        world
            .signed(
                "DeleteUserPoolClient",
                json!({ "UserPoolId": pool, "ClientId": id }),
            )
            .await
            .ok();
        let (exception, _) = world.sign_in(&id, "ann", PASSWORD).await.refused();
        assert_eq!(exception, "ResourceNotFoundException");
    }
}

#[tokio::test]
async fn lists_come_in_pages() {
    for world in worlds().await {
        let mut made = Vec::new();
        for _ in 0..3 {
            made.push(world.create_pool(json!({})).await);
            world.wait_s(1);
        }
        let mut found = Vec::new();
        let mut token = Value::Null;
        loop {
            let page = world
                .signed(
                    "ListUserPools",
                    json!({ "MaxResults": 2, "NextToken": token }),
                )
                .await
                .ok();
            let pools = page["UserPools"].as_array().unwrap();
            found.extend(pools.iter().map(|pool| text(pool, "Id")));
            token = page["NextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        assert_eq!(found, made);
        world
            .signed(
                "ListUserPools",
                json!({ "MaxResults": 2, "NextToken": "made-up" }),
            )
            .await
            .refused_with("InvalidParameterException", "Invalid pagination token.");

        let client = world.create_client(&made[0], json!({})).await;
        let clients = world
            .signed("ListUserPoolClients", json!({ "UserPoolId": made[0] }))
            .await
            .ok();
        assert_eq!(
            clients,
            json!({ "UserPoolClients": [{
                "ClientId": client["ClientId"], "UserPoolId": made[0], "ClientName": "app",
            }]})
        );
    }
}

#[tokio::test]
async fn a_deleted_pool_is_gone_with_all_that_was_in_it() {
    for world in worlds().await {
        let pool = world
            .create_pool(json!({
                "UsernameAttributes": ["email"], "DeletionProtection": "ACTIVE",
            }))
            .await;
        let client = text(&world.create_client(&pool, json!({})).await, "ClientId");
        world.confirmed(&pool, &client, "ann@example.com").await;
        let result = world.signed_in(&client, "ann@example.com").await;
        let delete = || world.signed("DeleteUserPool", json!({ "UserPoolId": pool }));
        delete().await.refused_with(
            "InvalidParameterException",
            "The user pool cannot be deleted because deletion protection is activated. Deletion \
             protection must be inactivated first.",
        );
        world
            .signed("UpdateUserPool", json!({ "UserPoolId": pool }))
            .await
            .ok();
        delete().await.ok();
        let (exception, _) = world
            .sign_in(&client, "ann@example.com", PASSWORD)
            .await
            .refused();
        assert_eq!(exception, "ResourceNotFoundException");
        let (exception, _) = world
            .call("GetUser", json!({ "AccessToken": result["AccessToken"] }))
            .await
            .refused();
        assert_eq!(exception, "NotAuthorizedException");
        let keys = world.get(&format!("/{pool}/.well-known/jwks.json")).await;
        assert_eq!(keys.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn signed_operations_need_a_signature_and_see_their_own_pools_only() {
    for world in worlds().await {
        world
            .call("ListUserPools", json!({ "MaxResults": 1 }))
            .await
            .refused_with(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            );
        let stranger = accounts::Organization {
            id: "another".into(),
            ..world.organization.clone()
        };
        let pool = world.create_pool(json!({})).await;
        let refused = world.pools.describe_user_pool(&stranger, &pool).await;
        assert!(matches!(
            refused,
            Err(pools::Error::Refusal(pools::Refusal::UserPoolNotFound(id))) if id == pool
        ));
    }
}

#[tokio::test]
async fn what_is_not_done_says_so() {
    for world in worlds().await {
        for operation in ["ForgotPassword", "ListUsers", "CreateGroup"] {
            world.call(operation, json!({})).await.refused_with(
                "InvalidParameterException",
                &format!("Operation {operation} is not supported by this server."),
            );
        }
        for operation in ["NoSuchOperation", "", "signup"] {
            let (exception, message) = world.call(operation, json!({})).await.refused();
            assert_eq!(
                (exception.as_str(), message.as_str()),
                ("UnknownOperationException", "")
            );
        }
    }
}

#[tokio::test]
async fn browsers_may_call_and_read_everything() {
    for world in worlds().await {
        let request = Request::options("/")
            .header("origin", "http://localhost:8081")
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "content-type,x-amz-target",
            )
            .body(Body::empty())
            .unwrap();
        let answer = world.send(request).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        assert_eq!(answer.headers["access-control-allow-methods"], "POST");
        assert_eq!(
            answer.headers["access-control-allow-headers"],
            "content-type,x-amz-target"
        );
        assert_eq!(answer.headers["access-control-max-age"], "172800");
        let answer = world.call("GetUser", json!({})).await;
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        assert_eq!(
            answer.headers["access-control-expose-headers"],
            "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date"
        );
        assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.1");
        assert!(answer.headers.contains_key("x-amzn-requestid"));
        assert_eq!(
            answer.headers["x-amzn-errormessage"],
            "1 validation error detected: Value null at 'accessToken' failed to satisfy \
             constraint: Member must not be null"
        );
        answer.refused();
    }
}
