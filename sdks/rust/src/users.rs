//! Users and their devices: the part `user` of the client. What the answers look like is in `models`; how a request
//! travels is in `client`.

use std::sync::Arc;

use serde::Deserialize;

use crate::client::{Client, required, segment};
use crate::error::Error;
use crate::models::{PassageUser, WebAuthnDevices};

/// Looks after users and their devices. Found at [`PassageFlex::user`](crate::PassageFlex::user).
///
/// Each method makes two calls: the first finds the service's own id of the user, the second uses it.
#[derive(Debug, Clone)]
pub struct User {
    client: Arc<Client>,
}

impl User {
    pub(crate) fn new(client: Arc<Client>) -> Self {
        Self { client }
    }

    /// The user with this external id, devices included.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`] if the app has no such user, [`Error::InvalidArgument`] if the value is empty; nothing is
    /// sent then. [`Error::UnexpectedResponse`] if the service answers with another user than the one asked for. Else
    /// what the service answered.
    ///
    /// ```no_run
    /// # async fn example(flex: claviger_flex::PassageFlex) -> Result<(), claviger_flex::Error> {
    /// let user = flex.user.get("user-42").await?;
    /// println!("{} has {} passkeys", user.external_id, user.webauthn_devices.len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get(&self, external_id: impl Into<String>) -> Result<PassageUser, Error> {
        let external_id = required("external_id", external_id.into())?;
        let id = self.find_id(&external_id).await?;
        let Found { user } = self.client.get(&["users", &id], &[]).await?;
        if user.id != id || user.external_id != external_id {
            return Err(SOMEBODY_ELSE);
        }
        Ok(user)
    }

    /// The user's devices.
    ///
    /// # Errors
    ///
    /// As for [`User::get`].
    ///
    /// ```no_run
    /// # async fn example(flex: claviger_flex::PassageFlex) -> Result<(), claviger_flex::Error> {
    /// for device in flex.user.list_devices("user-42").await? {
    ///     println!("{}, used {} times", device.friendly_name, device.usage_count);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn list_devices(
        &self,
        external_id: impl Into<String>,
    ) -> Result<Vec<WebAuthnDevices>, Error> {
        let external_id = required("external_id", external_id.into())?;
        let id = self.find_id(&external_id).await?;
        let Devices { devices } = self.client.get(&["users", &id, "devices"], &[]).await?;
        Ok(devices)
    }

    /// Revokes one of the user's devices: it cannot be signed in with any more. A device of another user is never
    /// touched, so its id may come from a browser as long as `external_id` is the signed-in user's.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceNotFound`] if the user has no such device, [`Error::InvalidArgument`] if a value is empty or the
    /// device id is `.` or `..`; nothing is sent then. Else as for [`User::get`].
    ///
    /// ```no_run
    /// # async fn example(flex: claviger_flex::PassageFlex, device_id: String) -> Result<(), claviger_flex::Error> {
    /// flex.user.revoke_device("user-42", device_id).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn revoke_device(
        &self,
        external_id: impl Into<String>,
        device_id: impl Into<String>,
    ) -> Result<(), Error> {
        let external_id = required("external_id", external_id.into())?;
        let device_id = required("device_id", device_id.into())?;
        segment(&device_id)?;
        let id = self.find_id(&external_id).await?;
        self.client
            .delete(&["users", &id, "devices", &device_id])
            .await
    }

    /// The service's own id of the user.
    ///
    /// Passage's SDKs take the first row of the list whoever it is, so that a server which reads `identifier` as a
    /// pattern, or not at all, hands them somebody else. Here the row must be the one asked for.
    async fn find_id(&self, external_id: &str) -> Result<String, Error> {
        let query = [("page", "1"), ("limit", "1"), ("identifier", external_id)];
        let Page { users } = self.client.get(&["users"], &query).await?;
        match users.into_iter().next() {
            None => Err(Error::UserNotFound),
            Some(row) if row.external_id == external_id => Ok(row.id),
            Some(_) => Err(SOMEBODY_ELSE),
        }
    }
}

/// The service answered with success, and with another user.
const SOMEBODY_ELSE: Error = Error::UnexpectedResponse { status: 200 };

#[derive(Deserialize)]
struct Page {
    users: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    external_id: String,
}

#[derive(Deserialize)]
struct Found {
    user: PassageUser,
}

#[derive(Deserialize)]
struct Devices {
    devices: Vec<WebAuthnDevices>,
}
