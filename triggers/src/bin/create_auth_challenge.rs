//! The Create trigger: an authenticate transaction for the user, its id among the public challenge parameters.

use triggers::decide::Create;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let flex = match triggers::passkey_service() {
        Ok(flex) => flex,
        Err(reason) => return Err(triggers::init_error(reason).await),
    };
    triggers::serve(async |event| {
        let Create::Transaction { external_id } = Create::decide(&event)? else {
            return Ok(event);
        };
        let transaction_id = flex
            .auth
            .create_authenticate_transaction(external_id)
            .await?;
        Ok(Create::answer(event, &transaction_id))
    })
    .await
}
