//! What a record of an import means beside what is there already. Pure: a batch
//! is judged in the order of its file, and each record sees what those before it
//! will have changed.

use std::collections::{HashMap, HashSet};

use super::{NewCredential, NewUser, Record};
use crate::{DeviceId, UserId};

/// The users and credentials that a batch could meet: those that are stored, and
/// those that were judged to be added.
#[derive(Debug, Default)]
pub(crate) struct Known {
    ids: HashMap<String, UserId>,
    external_ids: HashMap<UserId, String>,
    credentials: HashMap<Vec<u8>, KnownCredential>,
    devices: HashSet<DeviceId>,
}

/// A credential that is there.
#[derive(Debug)]
pub(crate) struct KnownCredential {
    pub(crate) user_id: UserId,
    /// COSE_Key; nothing: kept without one.
    pub(crate) public_key: Option<Vec<u8>>,
}

/// What is to be stored of a batch.
#[derive(Debug, Default)]
pub(crate) struct Additions<'r> {
    pub(crate) users: Vec<&'r NewUser>,
    /// Each with its owner.
    pub(crate) credentials: Vec<(UserId, &'r NewCredential)>,
}

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// New; a credential perhaps together with its user.
    Added { user_added: bool },
    /// There already.
    Unchanged,
    /// A user who is there already under this id, which stays.
    UnderOtherId(UserId),
    /// A contradiction to what is there.
    Refused(&'static str),
}

impl Known {
    /// Adds a user, unless somebody is known by one of the ids: what the run itself
    /// adds counts before what is stored.
    pub(crate) fn add_user(&mut self, id: &UserId, external_id: &str) {
        self.ids
            .entry(external_id.to_owned())
            .or_insert_with(|| id.clone());
        self.external_ids
            .entry(id.clone())
            .or_insert_with(|| external_id.to_owned());
    }

    /// Adds a credential, unless it is known. One without a key has no device.
    pub(crate) fn add_credential(
        &mut self,
        credential_id: Vec<u8>,
        device_id: Option<DeviceId>,
        credential: KnownCredential,
    ) {
        self.devices.extend(device_id);
        self.credentials.entry(credential_id).or_insert(credential);
    }

    /// Judges a record. What is to be stored goes into `additions`, and is known from now on.
    pub(crate) fn judge<'r>(
        &mut self,
        record: &'r Record,
        additions: &mut Additions<'r>,
    ) -> Outcome {
        match record {
            Record::User(new) => {
                let outcome = self.judge_user(new);
                if matches!(outcome, Outcome::Added { .. }) {
                    self.add_user(&new.id, &new.external_id);
                    additions.users.push(new);
                }
                outcome
            }
            Record::Credential(new) => match self.judge_credential(new) {
                Ok(owner) => self.place(new, owner, additions),
                Err(outcome) => outcome,
            },
        }
    }

    /// The external id decides who a user is: it is the customer's own word.
    fn judge_user(&self, new: &NewUser) -> Outcome {
        match self.ids.get(&new.external_id) {
            Some(id) if *id == new.id || !new.is_id_given => Outcome::Unchanged,
            Some(id) => Outcome::UnderOtherId(id.clone()),
            None if self.external_ids.contains_key(&new.id) => {
                Outcome::Refused("the id is already that of a user with another external id")
            }
            None => Outcome::Added { user_added: true },
        }
    }

    /// Whose a credential will be; nothing when its user has to be made.
    fn judge_credential(&self, new: &NewCredential) -> Result<Option<UserId>, Outcome> {
        let record = &new.record;
        let owner = self.owner(new)?;
        let Some(known) = self.credentials.get(&record.credential_id) else {
            return match self.devices.contains(&new.device_id) {
                true => Err(Outcome::Refused(
                    "device_id is already that of another credential",
                )),
                false => Ok(owner),
            };
        };
        if Some(&known.user_id) != owner.as_ref() {
            return Err(Outcome::Refused(
                "the credential is already that of another user",
            ));
        }
        match (&known.public_key, &record.public_key) {
            // Its key was found meanwhile.
            (None, Some(_)) => Ok(owner),
            (_, None) => Err(Outcome::Unchanged),
            (Some(known), Some(new)) if *known == new.cose => Err(Outcome::Unchanged),
            (Some(_), Some(_)) => Err(Outcome::Refused(
                "the credential is already there with another public key",
            )),
        }
    }

    fn owner(&self, new: &NewCredential) -> Result<Option<UserId>, Outcome> {
        let Some(user) = &new.new_user else {
            return match &new.record.user_id {
                Some(id) if self.external_ids.contains_key(id) => Ok(Some(id.clone())),
                _ => Err(Outcome::Refused("there is no user of this user_id")),
            };
        };
        match self.judge_user(user) {
            Outcome::Added { .. } => Ok(None),
            Outcome::Unchanged => Ok(self.ids.get(&user.external_id).cloned()),
            Outcome::UnderOtherId(id) => Ok(Some(id)),
            Outcome::Refused(_) => Err(Outcome::Refused(
                "user_id is that of a user with another external id",
            )),
        }
    }

    fn place<'r>(
        &mut self,
        new: &'r NewCredential,
        owner: Option<UserId>,
        additions: &mut Additions<'r>,
    ) -> Outcome {
        let user_added = owner.is_none();
        let owner = match (owner, &new.new_user) {
            (Some(owner), _) => owner,
            (None, Some(user)) => {
                self.add_user(&user.id, &user.external_id);
                additions.users.push(user);
                user.id.clone()
            }
            (None, None) => return Outcome::Refused("the credential has no user"),
        };
        let public_key = new.record.public_key.as_ref().map(|key| key.cose.clone());
        let device_id = public_key.is_some().then(|| new.device_id.clone());
        self.devices.extend(device_id);
        // In the place of one that is kept without its key.
        self.credentials.insert(
            new.record.credential_id.clone(),
            KnownCredential {
                user_id: owner.clone(),
                public_key,
            },
        );
        additions.credentials.push((owner, new));
        Outcome::Added { user_added }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{UserStatus, import::Times};

    fn id(text: &str) -> UserId {
        UserId::parse(text).unwrap()
    }

    fn new_user(is_id_given: bool) -> Record {
        Record::User(NewUser {
            id: id("u1"),
            is_id_given,
            external_id: "ann".into(),
            status: UserStatus::Pending,
            login_count: 0,
            times: Times {
                created_at_ms: 0,
                updated_at_ms: 0,
                last_login_at_ms: 0,
            },
        })
    }

    #[test]
    fn a_user_is_who_the_external_id_says() {
        let added = Outcome::Added { user_added: true };
        let other = Outcome::UnderOtherId(id("u2"));
        let taken = Outcome::Refused("the id is already that of a user with another external id");
        for (is_id_given, stored, outcome) in [
            (true, &[][..], &added),
            (true, &[("u1", "ann")], &Outcome::Unchanged),
            (true, &[("u2", "ann")], &other),
            (true, &[("u1", "bob")], &taken),
            (true, &[("u1", "bob"), ("u2", "ann")], &other),
            (false, &[("u2", "ann")], &Outcome::Unchanged),
            (false, &[], &added),
        ] {
            let mut known = Known::default();
            for (user_id, external_id) in stored {
                known.add_user(&id(user_id), external_id);
            }
            let record = new_user(is_id_given);
            let mut additions = Additions::default();
            assert_eq!(known.judge(&record, &mut additions), *outcome, "{stored:?}");
            assert_eq!(additions.users.len(), usize::from(*outcome == added));
            // Once more, it is there.
            if *outcome == added {
                assert_eq!(known.judge(&record, &mut additions), Outcome::Unchanged);
                assert_eq!(additions.users.len(), 1);
            }
        }
    }
}
