//! SignUp (`cognito.md` §5.1).

use aws_protocol::input::Input;

use super::{super::Object, Output, client_metadata, name_values};
use crate::{UserPools, auth::attempt::Caller, shapes, sign_up::NewUser};

pub(super) async fn run(pools: UserPools, caller: Caller, input: Object) -> Output {
    let new = Input::read(&input, |input| NewUser {
        client_id: input.string("ClientId", &shapes::CLIENT_ID).required(),
        username: input.string("Username", &shapes::USERNAME).required(),
        // Users without a password need passwordless sign-in, which no pool here has.
        password: input.string("Password", &shapes::PASSWORD).required(),
        secret_hash: input.string("SecretHash", &shapes::SECRET_HASH).optional(),
        attributes: name_values(input, "UserAttributes"),
        validation_data: name_values(input, "ValidationData"),
        client_metadata: client_metadata(input),
    })?;
    Ok(Some(pools.sign_up(&caller, new).await?))
}
