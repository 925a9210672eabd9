//! AdminUpdateUserAttributes (`cognito.md` §5.3).

use accounts::Organization;
use aws_protocol::input::Input;
use serde_json::json;

use super::{super::Object, Output, required_name_values};
use crate::{UserPools, auth::attempt::Caller, shapes};

pub(super) async fn run(
    pools: UserPools,
    organization: Organization,
    _caller: Caller,
    input: Object,
) -> Output {
    let (pool_id, username, changes) = Input::read(&input, |input| {
        (
            input.string("UserPoolId", &shapes::USER_POOL_ID).required(),
            input.string("Username", &shapes::USERNAME).required(),
            required_name_values(input, "UserAttributes"),
        )
    })?;
    let (pool, user) = pools
        .find_owned_user(&organization, &pool_id, &username)
        .await?;
    pools.update_attributes(&pool, &user.sub, changes).await?;
    Ok(Some(json!({})))
}
