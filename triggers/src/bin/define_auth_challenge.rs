//! The Define trigger as a program: the `bootstrap` of its function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    triggers::define_auth_challenge().await
}
