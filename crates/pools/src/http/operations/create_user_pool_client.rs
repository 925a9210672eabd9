//! CreateUserPoolClient (`cognito.md` §5.8). The input is read where it is kept: the whole of it is the
//! configuration.

use accounts::Organization;

use super::{super::Object, Output};
use crate::{UserPools, auth::attempt::Caller};

pub(super) async fn run(
    pools: UserPools,
    organization: Organization,
    _caller: Caller,
    input: Object,
) -> Output {
    Ok(Some(
        pools.create_user_pool_client(&organization, &input).await?,
    ))
}
