//! DescribeUserPoolClient (`cognito.md` §5.8).

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
    let (pool_id, client_id) = Input::read(&input, |input| {
        (
            input.string("UserPoolId", &shapes::USER_POOL_ID).required(),
            input.string("ClientId", &shapes::CLIENT_ID).required(),
        )
    })?;
    Ok(Some(
        pools
            .describe_user_pool_client(&organization, &pool_id, &client_id)
            .await?,
    ))
}
