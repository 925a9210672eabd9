//! The Define trigger: a passkey first, then tokens or the end. Needs no settings and calls nobody.

use triggers::decide::Define;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    triggers::serve(async |event| {
        let decision = Define::decide(&event)?;
        if let Define::Fail(reason) = decision {
            eprintln!("Failing authentication because {reason}");
        }
        Ok(decision.answer(event))
    })
    .await
}
