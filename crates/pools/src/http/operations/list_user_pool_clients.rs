//! ListUserPoolClients (`cognito.md` §3).

use accounts::Organization;
use aws_protocol::input::{Input, Integer};
use serde_json::json;

use super::{
    super::{Object, page},
    Output,
};
use crate::{UserPools, auth::attempt::Caller, shapes};

pub(super) async fn run(
    pools: UserPools,
    organization: Organization,
    _caller: Caller,
    input: Object,
) -> Output {
    let (pool_id, limit, token) = Input::read(&input, |input| {
        (
            input.string("UserPoolId", &shapes::USER_POOL_ID).required(),
            input.integer("MaxResults", &Integer::between(1, 60)).or(60),
            input
                .string("NextToken", &shapes::PAGINATION_KEY)
                .optional(),
        )
    })?;
    let pool = pools.find_owned_user_pool(&organization, &pool_id).await?;
    let (items, next) = pools
        .list_user_pool_clients(&pool, limit, page::read(token)?)
        .await?;
    let mut output = json!({ "UserPoolClients": items });
    if let Some(next) = next {
        output["NextToken"] = page::token(next).into();
    }
    Ok(Some(output))
}
