//! Sign-up and its confirmation, and users as administrators see and change them.

use pools::Delivery;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, attributes, text, worlds, worlds_with};

#[tokio::test]
async fn signing_up_with_an_email_gives_a_user_with_a_made_up_username() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        let answer = world
            .call(
                "SignUp",
                json!({
                    "ClientId": client, "Username": "ann@example.com", "Password": PASSWORD,
                    "UserAttributes": [{ "Name": "name", "Value": "Ann" }],
                }),
            )
            .await
            .ok();
        let sub = text(&answer, "UserSub");
        assert_eq!(answer, json!({ "UserConfirmed": false, "UserSub": sub }));

        for name in ["ann@example.com", &sub] {
            let user = world.find_user(&pool, name).await.ok();
            assert_eq!(user["Username"], sub);
            assert_eq!(user["UserStatus"], "UNCONFIRMED");
            assert_eq!(user["Enabled"], true);
            assert_eq!(user["UserCreateDate"], 1_800_000_000.0);
            assert_eq!(
                attributes(&user),
                json!({
                    "sub": sub, "name": "Ann",
                    "email": "ann@example.com", "email_verified": "false",
                })
            );
        }
        world
            .find_user(&pool, "bob@example.com")
            .await
            .refused_with("UserNotFoundException", "User does not exist.");
    }
}

#[tokio::test]
async fn sign_up_refuses_in_the_words_of_the_contract() {
    for world in worlds().await {
        let (_, client) = world.email_pool().await;
        world.sign_up(&client, "ann@example.com").await;
        let sign_up = async |username: &str, password: &str, attributes: Value| {
            world
                .call(
                    "SignUp",
                    json!({
                        "ClientId": client, "Username": username, "Password": password,
                        "UserAttributes": attributes,
                    }),
                )
                .await
                .refused()
        };
        for (username, password, attributes, exception, message) in [
            (
                "ann@example.com",
                PASSWORD,
                json!([]),
                "UsernameExistsException",
                "An account with the given email already exists.",
            ),
            (
                "ann",
                PASSWORD,
                json!([]),
                "InvalidParameterException",
                "Username should be an email.",
            ),
            (
                "bob@example.com",
                "short",
                json!([]),
                "InvalidPasswordException",
                "Password did not conform with policy: Password not long enough",
            ),
            (
                "bob@example.com",
                PASSWORD,
                json!([{ "Name": "email", "Value": "other@example.com" }]),
                "InvalidParameterException",
                "Provided email does not match the username.",
            ),
            (
                "bob@example.com",
                PASSWORD,
                json!([{ "Name": "email_verified", "Value": "true" }]),
                "NotAuthorizedException",
                "A client attempted to write unauthorized attribute",
            ),
            (
                "bob@example.com",
                PASSWORD,
                json!([{ "Name": "mood", "Value": "good" }]),
                "InvalidParameterException",
                "Attributes did not conform to the schema: mood: Attribute does not exist in schema.",
            ),
            (
                "bob@example.com",
                "white space",
                json!([]),
                "InvalidParameterException",
                "1 validation error detected: Value at 'password' failed to satisfy constraint: \
                 Member must satisfy regular expression pattern: [\\S]+",
            ),
        ] {
            assert_eq!(
                sign_up(username, password, attributes).await,
                (exception.to_owned(), message.to_owned())
            );
        }
        world
            .call(
                "SignUp",
                json!({ "ClientId": "nobody", "Username": "b@x.de", "Password": PASSWORD }),
            )
            .await
            .refused_with(
                "ResourceNotFoundException",
                "User pool client nobody does not exist.",
            );
    }
}

#[tokio::test]
async fn two_who_want_the_same_address_at_once_get_it_once() {
    for world in worlds().await {
        let (_, client) = world.email_pool().await;
        let sign_up = || {
            world.call(
                "SignUp",
                json!({ "ClientId": client, "Username": "ann@example.com", "Password": PASSWORD }),
            )
        };
        let answers = [
            tokio::join!(sign_up(), sign_up()),
            tokio::join!(sign_up(), sign_up()),
        ];
        let winners = answers
            .iter()
            .flat_map(|(one, other)| [one, other])
            .filter(|answer| answer.status == 200)
            .count();
        assert_eq!(winners, 1);
    }
}

#[tokio::test]
async fn only_administrators_create_users_where_the_pool_says_so() {
    for world in worlds().await {
        let pool = world
            .create_pool(json!({ "AdminCreateUserConfig": { "AllowAdminCreateUserOnly": true } }))
            .await;
        let client = text(&world.create_client(&pool, json!({})).await, "ClientId");
        world
            .call(
                "SignUp",
                json!({ "ClientId": client, "Username": "ann", "Password": PASSWORD }),
            )
            .await
            .refused_with(
                "NotAuthorizedException",
                "SignUp is not permitted for this user pool",
            );
    }
}

#[tokio::test]
async fn an_administrator_confirms_once() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        world.confirmed(&pool, &client, "ann@example.com").await;
        let user = world.find_user(&pool, "ann@example.com").await.ok();
        assert_eq!(user["UserStatus"], "CONFIRMED");
        assert_eq!(attributes(&user)["email_verified"], "false");
        world
            .signed(
                "AdminConfirmSignUp",
                json!({ "UserPoolId": pool, "Username": "ann@example.com" }),
            )
            .await
            .refused_with(
                "NotAuthorizedException",
                "User cannot be confirmed. Current status is CONFIRMED",
            );
    }
}

/// A pool that verifies e-mail, its client, and a user whose code is set to 123456.
async fn waiting_for_code(world: &crate::harness::World, input: Value) -> (String, String) {
    let mut request = json!({ "AutoVerifiedAttributes": ["email"] });
    for (name, value) in input.as_object().unwrap() {
        request[name] = value.clone();
    }
    let pool = world.create_pool(request).await;
    let client = text(&world.create_client(&pool, json!({})).await, "ClientId");
    let answer = world
        .call(
            "SignUp",
            json!({
                "ClientId": client, "Username": "ann", "Password": PASSWORD,
                "UserAttributes": [{ "Name": "email", "Value": "ann@example.com" }],
            }),
        )
        .await
        .ok();
    assert_eq!(
        answer["CodeDeliveryDetails"],
        json!({ "Destination": "a***@e***", "DeliveryMedium": "EMAIL", "AttributeName": "email" })
    );
    set_code(world, &pool, &text(&answer, "UserSub")).await;
    (pool, client)
}

/// Only the user knows the code, and the database only its hash: put another in its place.
async fn set_code(world: &crate::harness::World, pool: &str, sub: &str) {
    let hash = world
        .platform
        .vault
        .hash(&format!("pools code {pool} {sub}"), b"123456");
    world
        .platform
        .db
        .write(async move |tx| {
            tx.execute(
                "UPDATE pools_codes SET code_hash = $1",
                platform::values![hash],
            )
            .await
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_code_confirms_and_verifies_once() {
    for world in worlds().await {
        let (pool, client) = waiting_for_code(&world, json!({})).await;
        let confirm = |code: &'static str| {
            world.call(
                "ConfirmSignUp",
                json!({ "ClientId": client, "Username": "ann", "ConfirmationCode": code }),
            )
        };
        confirm("000000").await.refused_with(
            "CodeMismatchException",
            "Invalid verification code provided, please try again.",
        );
        assert_eq!(confirm("123456").await.ok(), json!({}));
        let user = world.find_user(&pool, "ann").await.ok();
        assert_eq!(user["UserStatus"], "CONFIRMED");
        assert_eq!(attributes(&user)["email_verified"], "true");
        confirm("123456").await.refused_with(
            "NotAuthorizedException",
            "User cannot be confirmed. Current status is CONFIRMED",
        );
    }
}

#[tokio::test]
async fn a_code_dies_of_age_and_of_wrong_tries() {
    for world in worlds().await {
        let (_, client) = waiting_for_code(&world, json!({})).await;
        let confirm = |code: &'static str| {
            world.call(
                "ConfirmSignUp",
                json!({ "ClientId": client, "Username": "ann", "ConfirmationCode": code }),
            )
        };
        world.wait_s(24 * 60 * 60);
        confirm("123456").await.refused_with(
            "ExpiredCodeException",
            "Invalid code provided, please request a code again.",
        );

        let (_, client) = waiting_for_code(&world, json!({})).await;
        let confirm = |code: &'static str| {
            world.call(
                "ConfirmSignUp",
                json!({ "ClientId": client, "Username": "ann", "ConfirmationCode": code }),
            )
        };
        for _ in 0..5 {
            let (exception, _) = confirm("000000").await.refused();
            assert_eq!(exception, "CodeMismatchException");
        }
        confirm("123456").await.refused_with(
            "LimitExceededException",
            "Attempt limit exceeded, please try after some time.",
        );
    }
}

#[tokio::test]
async fn confirming_nobody_tells_as_much_as_the_client_allows() {
    for world in worlds().await {
        let pool = world.create_pool(json!({})).await;
        for (mode, exception, message) in [
            (
                "LEGACY",
                "UserNotFoundException",
                "Username/client id combination not found.",
            ),
            (
                "ENABLED",
                "ExpiredCodeException",
                "Invalid code provided, please request a code again.",
            ),
        ] {
            let client = world
                .create_client(&pool, json!({ "PreventUserExistenceErrors": mode }))
                .await;
            world
                .call(
                    "ConfirmSignUp",
                    json!({
                        "ClientId": client["ClientId"], "Username": "nobody",
                        "ConfirmationCode": "123456",
                    }),
                )
                .await
                .refused_with(exception, message);
        }
    }
}

#[tokio::test]
async fn without_a_way_to_deliver_codes_sign_up_says_so() {
    for world in worlds_with(|settings| settings.delivery = Delivery::None).await {
        let pool = world
            .create_pool(json!({ "AutoVerifiedAttributes": ["email"] }))
            .await;
        let client = text(&world.create_client(&pool, json!({})).await, "ClientId");
        let (exception, _) = world
            .call(
                "SignUp",
                json!({
                    "ClientId": client, "Username": "ann", "Password": PASSWORD,
                    "UserAttributes": [{ "Name": "email", "Value": "ann@example.com" }],
                }),
            )
            .await
            .refused();
        assert_eq!(exception, "CodeDeliveryFailureException");
    }
}

#[tokio::test]
async fn attributes_change_as_administrators_say() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        let sub = world.confirmed(&pool, &client, "ann@example.com").await;
        world.confirmed(&pool, &client, "bob@example.com").await;
        let update = async |changes: &[(&str, &str)]| {
            let list: Vec<Value> = changes
                .iter()
                .map(|(name, value)| json!({ "Name": name, "Value": value }))
                .collect();
            world
                .signed(
                    "AdminUpdateUserAttributes",
                    json!({ "UserPoolId": pool, "Username": sub, "UserAttributes": list }),
                )
                .await
        };
        assert_eq!(
            update(&[("email_verified", "true"), ("name", "Ann")])
                .await
                .ok(),
            json!({})
        );
        let user = world.find_user(&pool, "ann@example.com").await.ok();
        assert_eq!(attributes(&user)["email_verified"], "true");

        update(&[("email", "anna@example.com"), ("name", "")])
            .await
            .ok();
        let user = world.find_user(&pool, "anna@example.com").await.ok();
        assert_eq!(
            attributes(&user),
            json!({ "sub": sub, "email": "anna@example.com", "email_verified": "false" })
        );
        let (exception, _) = world.find_user(&pool, "ann@example.com").await.refused();
        assert_eq!(exception, "UserNotFoundException");

        update(&[("email", "bob@example.com")]).await.refused_with(
            "AliasExistsException",
            "An account with the given email already exists.",
        );
        update(&[("sub", "x")]).await.refused_with(
            "InvalidParameterException",
            "user.sub: Attribute cannot be updated.",
        );
        update(&[("custom:x", "x")]).await.refused_with(
            "InvalidParameterException",
            "user.custom:x: Attribute does not exist in schema.",
        );
        update(&[("email", "nobody")])
            .await
            .refused_with("InvalidParameterException", "Invalid email address format.");
        update(&[("phone_number_verified", "true")])
            .await
            .refused_with(
                "InvalidParameterException",
                "Phone Number is required to verify/un-verify a phone number",
            );
    }
}

#[tokio::test]
async fn an_alias_names_its_user_once_it_is_verified_and_belongs_to_one() {
    for world in worlds().await {
        let pool = world
            .create_pool(json!({ "AliasAttributes": ["email", "preferred_username"] }))
            .await;
        let client = text(&world.create_client(&pool, json!({})).await, "ClientId");
        world
            .call(
                "SignUp",
                json!({ "ClientId": client, "Username": "ann@example.com", "Password": PASSWORD }),
            )
            .await
            .refused_with(
                "InvalidParameterException",
                "Username cannot be of email format, since user pool is configured for email alias.",
            );
        for username in ["ann", "bob"] {
            world
                .call(
                    "SignUp",
                    json!({
                        "ClientId": client, "Username": username, "Password": PASSWORD,
                        "UserAttributes": [{ "Name": "email", "Value": "shared@example.com" }],
                    }),
                )
                .await
                .ok();
            world
                .signed(
                    "AdminConfirmSignUp",
                    json!({ "UserPoolId": pool, "Username": username }),
                )
                .await
                .ok();
        }
        let (exception, _) = world.find_user(&pool, "shared@example.com").await.refused();
        assert_eq!(exception, "UserNotFoundException");
        let verify = |username: &'static str| {
            world.signed(
                "AdminUpdateUserAttributes",
                json!({
                    "UserPoolId": pool, "Username": username,
                    "UserAttributes": [{ "Name": "email_verified", "Value": "true" }],
                }),
            )
        };
        verify("ann").await.ok();
        let user = world.find_user(&pool, "shared@example.com").await.ok();
        assert_eq!(user["Username"], "ann");
        verify("bob").await.refused_with(
            "AliasExistsException",
            "An account with the given email already exists.",
        );
        world.signed_in(&client, "shared@example.com").await;
        let prefer = |username: &'static str, preferred: &'static str| {
            world.signed(
                "AdminUpdateUserAttributes",
                json!({
                    "UserPoolId": pool, "Username": username,
                    "UserAttributes": [{ "Name": "preferred_username", "Value": preferred }],
                }),
            )
        };
        prefer("ann", "annie").await.ok();
        let user = world.find_user(&pool, "annie").await.ok();
        assert_eq!(user["Username"], "ann");
        let (exception, _) = prefer("bob", "annie").await.refused();
        assert_eq!(exception, "AliasExistsException");
        let (exception, _) = prefer("bob", "ann").await.refused();
        assert_eq!(exception, "AliasExistsException");
    }
}

#[tokio::test]
async fn an_alias_moves_to_who_confirms_it_with_force() {
    for world in worlds().await {
        let (pool, client) =
            waiting_for_code(&world, json!({ "AliasAttributes": ["email"] })).await;
        let confirm = |username: &'static str, is_forced: bool| {
            world.call(
                "ConfirmSignUp",
                json!({
                    "ClientId": client, "Username": username, "ConfirmationCode": "123456",
                    "ForceAliasCreation": is_forced,
                }),
            )
        };
        confirm("ann", false).await.ok();
        let answer = world
            .call(
                "SignUp",
                json!({
                    "ClientId": client, "Username": "bob", "Password": PASSWORD,
                    "UserAttributes": [{ "Name": "email", "Value": "ann@example.com" }],
                }),
            )
            .await
            .ok();
        set_code(&world, &pool, &text(&answer, "UserSub")).await;
        confirm("bob", false).await.refused_with(
            "AliasExistsException",
            "An account with the email already exists.",
        );
        confirm("bob", true).await.ok();
        let user = world.find_user(&pool, "ann@example.com").await.ok();
        assert_eq!(user["Username"], "bob");
        let ann = world.find_user(&pool, "ann").await.ok();
        assert_eq!(attributes(&ann)["email_verified"], "false");
    }
}

#[tokio::test]
async fn case_matters_where_the_pool_says_so() {
    for world in worlds().await {
        for (is_sensitive, finds) in [(false, true), (true, false)] {
            let pool = world
                .create_pool(json!({
                    "UsernameAttributes": ["email"],
                    "UsernameConfiguration": { "CaseSensitive": is_sensitive },
                }))
                .await;
            let client = text(&world.create_client(&pool, json!({})).await, "ClientId");
            world.sign_up(&client, "Ann@Example.com").await;
            let found = world.find_user(&pool, "ann@example.com").await;
            assert_eq!(found.status == 200, finds);
            let user = world.find_user(&pool, "Ann@Example.com").await.ok();
            assert_eq!(attributes(&user)["email"], "Ann@Example.com");
        }
    }
}

#[tokio::test]
async fn a_username_cannot_shadow_the_sub_of_another_user() {
    for world in worlds().await {
        let pool = world.create_pool(json!({})).await;
        let client = text(&world.create_client(&pool, json!({})).await, "ClientId");
        let sub = world.sign_up(&client, "ann").await;
        let (exception, _) = world
            .call(
                "SignUp",
                json!({ "ClientId": client, "Username": sub, "Password": PASSWORD }),
            )
            .await
            .refused();
        assert_eq!(exception, "UsernameExistsException");
    }
}

#[tokio::test]
async fn a_deleted_user_is_gone_and_the_name_is_free() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        let first = world.confirmed(&pool, &client, "ann@example.com").await;
        world
            .signed(
                "AdminDeleteUser",
                json!({ "UserPoolId": pool, "Username": "ann@example.com" }),
            )
            .await
            .ok();
        let (exception, _) = world.find_user(&pool, &first).await.refused();
        assert_eq!(exception, "UserNotFoundException");
        let second = world.sign_up(&client, "ann@example.com").await;
        assert_ne!(first, second);
    }
}
