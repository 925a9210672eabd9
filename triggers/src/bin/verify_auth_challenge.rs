//! The Verify trigger: the answer is a nonce; it must be good, and it must be the proof of the user who is signing in.

use triggers::decide::Verify;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let flex = match triggers::passkey_service() {
        Ok(flex) => flex,
        Err(reason) => return Err(triggers::init_error(reason).await),
    };
    triggers::serve(async |event| {
        let verify = Verify::decide(&event)?;
        let external_id = flex.auth.verify_nonce(&verify.nonce).await?;
        verify.check(&external_id)?;
        Ok(Verify::answer(event))
    })
    .await
}
