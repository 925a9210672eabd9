//! AdminGetUser (`cognito.md` §5.4).

use accounts::Organization;
use aws_protocol::{input::Input, json11};
use serde_json::json;

use super::{super::Object, Output};
use crate::{UserPools, auth::attempt::Caller, shapes};

pub(super) async fn run(
    pools: UserPools,
    organization: Organization,
    _caller: Caller,
    input: Object,
) -> Output {
    let (pool_id, username) = Input::read(&input, |input| {
        (
            input.string("UserPoolId", &shapes::USER_POOL_ID).required(),
            input.string("Username", &shapes::USERNAME).required(),
        )
    })?;
    let (_, user) = pools
        .find_owned_user(&organization, &pool_id, &username)
        .await?;
    Ok(Some(json!({
        "Username": user.username,
        "UserAttributes": user.attribute_list(|_| true),
        "UserCreateDate": json11::timestamp(user.created_at_ms),
        "UserLastModifiedDate": json11::timestamp(user.updated_at_ms),
        "Enabled": user.is_enabled,
        "UserStatus": user.status.name(),
    })))
}
