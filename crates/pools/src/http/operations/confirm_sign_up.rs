//! ConfirmSignUp (`cognito.md` §16).

use aws_protocol::input::Input;
use serde_json::json;

use super::{super::Object, Output, client_metadata};
use crate::{UserPools, auth::attempt::Caller, shapes, sign_up::Confirmation};

pub(super) async fn run(pools: UserPools, caller: Caller, input: Object) -> Output {
    let confirmation = Input::read(&input, |input| Confirmation {
        client_id: input.string("ClientId", &shapes::CLIENT_ID).required(),
        username: input.string("Username", &shapes::USERNAME).required(),
        secret_hash: input.string("SecretHash", &shapes::SECRET_HASH).optional(),
        code: input
            .string("ConfirmationCode", &shapes::CONFIRMATION_CODE)
            .required(),
        takes_aliases: input.boolean("ForceAliasCreation").or(false),
        client_metadata: client_metadata(input),
    })?;
    pools.confirm_sign_up(&caller, confirmation).await?;
    Ok(Some(json!({})))
}
