//! Random faults, the same in every run.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use webauthn::forge::attestation::{Attester, Format};
use webauthn::forge::{ClientData, Item, flag};
use webauthn::{Algorithm, UserVerification};

use super::Input;
use super::inputs::{COMMON, Inputs, holder, part, set_part, sign, site, with_authenticator_data};
use crate::site::authenticator;

/// As many as take about a second where nothing is optimized. Each composition makes two inputs.
const DAMAGED: usize = 2000;
const COMPOSED: usize = 1000;

pub(super) fn all() -> Vec<Input> {
    let mut inputs = Inputs::new();
    let mut runner = TestRunner::deterministic();
    for damage in generate(&mut runner, DAMAGED, &damages()) {
        damaged(&mut inputs, &damage);
    }
    for composition in generate(&mut runner, COMPOSED, &compositions()) {
        composed(&mut inputs, &composition);
    }
    inputs.all
}

fn generate<S: Strategy>(runner: &mut TestRunner, count: usize, strategy: &S) -> Vec<S::Value> {
    let mut one = || {
        let tree = strategy.new_tree(runner);
        tree.expect("nothing is filtered out").current()
    };
    (0..count).map(|_| one()).collect()
}

/// Where bytes are damaged.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// A member of the response.
    Member(&'static str),
    /// What the attestation object holds, in an honest wrapping.
    AuthenticatorData,
    /// What the authenticator data of a registration holds, in an honest wrapping.
    PublicKey,
    /// The flags of a registration, which its own key attests afterwards.
    AttestedFlags,
}

#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Repeat(Index, usize),
    Cut(Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Set(at, value) => bytes[at.index(length)] = *value,
            Self::Insert(at, value) => bytes.insert(at.index(length + 1), *value),
            Self::Remove(at) => {
                bytes.remove(at.index(length));
            }
            Self::Repeat(at, count) => {
                let start = at.index(length);
                let again = bytes[start..length.min(start + count)].to_vec();
                bytes.splice(start..start, again);
            }
            Self::Cut(at) => bytes.truncate(at.index(length)),
        }
    }
}

#[derive(Clone, Debug)]
struct Damage {
    algorithm: Algorithm,
    place: Place,
    edits: Vec<Edit>,
    /// Whether an authentication is signed after the damage.
    is_signed_after: bool,
}

fn damages() -> impl Strategy<Value = Damage> {
    let place = select(vec![
        Place::Member("attestationObject"),
        Place::Member("authenticatorData"),
        Place::Member("clientDataJSON"),
        Place::Member("signature"),
        Place::AuthenticatorData,
        Place::PublicKey,
        Place::AttestedFlags,
    ]);
    let edit = prop_oneof![
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, value)| Edit::Set(at, value)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, value)| Edit::Insert(at, value)),
        any::<Index>().prop_map(Edit::Remove),
        (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Edit::Repeat(at, count)),
        any::<Index>().prop_map(Edit::Cut),
    ];
    // The peer is slow on P-384.
    let algorithm = select([[Algorithm::EdDsa; 6], [Algorithm::Es256; 6]].concat());
    let algorithm = prop_oneof![11 => algorithm, 1 => select(COMMON.to_vec())];
    (algorithm, place, vec(edit, 1..4), any::<bool>()).prop_map(
        |(algorithm, place, edits, is_signed_after)| Damage {
            algorithm,
            place,
            edits,
            is_signed_after,
        },
    )
}

fn damaged(inputs: &mut Inputs, damage: &Damage) {
    let site = site();
    let algorithm = damage.algorithm;
    let what = format!("{damage:?}");
    let edit = |mut bytes: Vec<u8>| {
        for edit in &damage.edits {
            edit.apply(&mut bytes);
        }
        bytes
    };
    let edit_member = |json: &mut Value, name: &str| {
        let bytes = edit(part(json, name));
        set_part(json, name, &bytes);
    };
    let mut registration = site.create(&mut authenticator(algorithm));
    let json = match damage.place {
        Place::Member(name @ ("authenticatorData" | "signature")) => {
            authenticate_damaged(inputs, damage, &what, |json| edit_member(json, name));
            return;
        }
        // Every other time in the other ceremony.
        Place::Member(name @ "clientDataJSON") if damage.edits.len().is_multiple_of(2) => {
            authenticate_damaged(inputs, damage, &what, |json| edit_member(json, name));
            return;
        }
        Place::Member(name) => {
            let mut json = registration.json();
            edit_member(&mut json, name);
            json
        }
        Place::AuthenticatorData => {
            let bytes = edit(registration.authenticator_data.bytes());
            with_authenticator_data(&registration, &bytes)
        }
        Place::PublicKey => {
            let key = edit(registration.attested().public_key.clone());
            registration.attested().public_key = key;
            registration.json()
        }
        Place::AttestedFlags => {
            let flags = edit(vec![registration.authenticator_data.flags]);
            registration.authenticator_data.flags = flags.first().copied().unwrap_or_default();
            Attester::new(Format::PackedSelf, &authenticator(algorithm).key)
                .attest(&mut registration);
            registration.json()
        }
    };
    inputs.push(&what, &site, json, None);
}

fn authenticate_damaged(
    inputs: &mut Inputs,
    damage: &Damage,
    what: &str,
    edit: impl FnOnce(&mut Value),
) {
    let site = site();
    let forged = site.get(&mut holder(damage.algorithm));
    let mut json = forged.json();
    edit(&mut json);
    if damage.is_signed_after {
        sign(&mut json, &forged.key);
    }
    let stored = inputs.stored(damage.algorithm);
    inputs.push(what, &site, json, Some(stored));
}

/// A ceremony whose parts are well formed and put together at random.
#[derive(Clone, Debug)]
struct Composition {
    algorithm: Algorithm,
    is_verification_required: bool,
    is_conditional: bool,
    flags: u8,
    /// Whether the flags say what the authenticator data holds, or anything.
    tells_of_contents: bool,
    sign_count: u32,
    stored_sign_count: u32,
    credential_id: Vec<u8>,
    /// Positions of the key's entries, some perhaps missing, in any order.
    key_entries: Vec<usize>,
    more_of_key: Option<(i64, i64)>,
    extensions: Option<Vec<(&'static str, i64)>>,
    object_entries: Vec<usize>,
    client_members: Vec<&'static str>,
}

fn compositions() -> impl Strategy<Value = Composition> {
    let client_members = vec!["crossOrigin", "topOrigin", "unknown", "tokenBinding"];
    let flags = prop_oneof![
        any::<u8>(),
        any::<u8>().prop_map(|flags| flags & 0x98 | flag::USER_PRESENT | flag::USER_VERIFIED),
    ];
    let names = vec!["credProtect", "hmac-secret", "minPinLength", "unknown"];
    let ceremony = (
        select(vec![Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256]),
        any::<bool>(),
        any::<bool>(),
        flags,
        prop::bool::weighted(0.9),
        prop_oneof![Just(0), 1..4_u32, any::<u32>()],
        prop_oneof![Just(0), 1..4_u32, any::<u32>()],
    );
    let contents = (
        prop_oneof![4 => vec(any::<u8>(), 16..40), 1 => vec(any::<u8>(), 0..20)],
        mostly_whole(5),
        prop::option::weighted(0.2, (-9..9_i64, -9..9_i64)),
        prop::option::of(vec((select(names), 0..5_i64), 0..3)),
        mostly_whole(3),
        prop_oneof![
            Just(vec![]),
            prop::sample::subsequence(client_members, 0..=4),
        ],
    );
    (ceremony, contents).prop_map(|(ceremony, contents)| Composition {
        algorithm: ceremony.0,
        is_verification_required: ceremony.1,
        is_conditional: ceremony.2,
        flags: ceremony.3,
        tells_of_contents: ceremony.4,
        sign_count: ceremony.5,
        stored_sign_count: ceremony.6,
        credential_id: contents.0,
        key_entries: contents.1,
        more_of_key: contents.2,
        extensions: contents.3,
        object_entries: contents.4,
        client_members: contents.5,
    })
}

/// Positions from 0 on: mostly all of them in order, else in any order, else some of them.
fn mostly_whole(length: usize) -> impl Strategy<Value = Vec<usize>> {
    let all: Vec<usize> = (0..length).collect();
    prop_oneof![
        8 => Just(all.clone()),
        1 => Just(all.clone()).prop_shuffle(),
        1 => prop::sample::subsequence(all, 0..=length),
    ]
}

fn composed(inputs: &mut Inputs, composition: &Composition) {
    let mut site = site();
    site.conditional = composition.is_conditional;
    if !composition.is_verification_required {
        site.user_verification = UserVerification::Preferred;
    }
    let what = format!("{composition:?}");
    let extensions = composition.extensions.as_ref().map(|outputs| {
        let entries = outputs
            .iter()
            .map(|(name, value)| (Item::text(name), Item::Int(*value)));
        Item::Map(entries.collect()).encode()
    });
    let mut flags = composition.flags;
    if composition.tells_of_contents {
        flags &= !(flag::ATTESTED | flag::EXTENSIONS);
        if extensions.is_some() {
            flags |= flag::EXTENSIONS;
        }
    }
    let set_members = |data: &mut ClientData| {
        for name in &composition.client_members {
            match *name {
                "crossOrigin" => data.set(name, false),
                name => data.set(name, name),
            }
        }
    };
    inputs.registration(&what, &site, composition.algorithm, |forged| {
        set_members(&mut forged.client_data);
        forged.authenticator_data.flags = flags;
        if composition.tells_of_contents {
            forged.authenticator_data.flags |= flag::ATTESTED;
        }
        forged.authenticator_data.sign_count = composition.sign_count;
        forged.authenticator_data.extensions = extensions.clone();
        forged.credential_id = composition.credential_id.clone();
        forged.attested().credential_id = composition.credential_id.clone();
        let mut key = authenticator(composition.algorithm).key.cose_key();
        let mut entries = picked(key.entries(), &composition.key_entries);
        entries.extend(
            composition
                .more_of_key
                .map(|(label, value)| (Item::Int(label), Item::Int(value))),
        );
        forged.attested().public_key = Item::Map(entries).encode();
        let mut object = forged.attestation_object_item();
        let entries = picked(object.entries(), &composition.object_entries);
        forged.attestation_object = Some(Item::Map(entries).encode());
    });
    site.conditional = false;
    inputs.authentication(&what, &site, composition.algorithm, |forged| {
        set_members(&mut forged.client_data);
        forged.authenticator_data.flags = flags;
        forged.authenticator_data.sign_count = composition.sign_count;
        forged.authenticator_data.extensions = extensions;
    });
    inputs.count_stored_to(composition.stored_sign_count);
}

fn picked(entries: &[(Item, Item)], positions: &[usize]) -> Vec<(Item, Item)> {
    let found = positions.iter().filter_map(|at| entries.get(*at));
    found.cloned().collect()
}
