//! AdminDeleteUser (`cognito.md` §15.3).

use accounts::Organization;
use aws_protocol::input::Input;

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
    pools.delete_user(&user).await?;
    Ok(None)
}
