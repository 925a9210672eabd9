//! ListUserPools (`cognito.md` §4).

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
    let (limit, token) = Input::read(&input, |input| {
        (
            input
                .integer("MaxResults", &Integer::between(1, 60))
                .required(),
            input
                .string("NextToken", &shapes::PAGINATION_KEY)
                .optional(),
        )
    })?;
    let (items, next) = pools
        .list_user_pools(&organization, limit, page::read(token)?)
        .await?;
    let mut output = json!({ "UserPools": items });
    if let Some(next) = next {
        output["NextToken"] = page::token(next).into();
    }
    Ok(Some(output))
}
