//! What the checks of Firebase's products share: the words in which they refuse, who we are to them, and where they are.
//! Must not know any single product.

mod answer;
mod base64;
mod credential;
mod place;
mod service_account;

pub(super) use answer::{is_alive, is_success, judge};
pub(super) use credential::{AuthFile, Credential, SIGN_IN, Token, sign_in, taken};
pub(super) use place::{Place, at, emulator, named, or_public, segments};
use service_account::ServiceAccount;

use crate::model::{Failure, Kind, Phase};

/// A request that cannot be put together: not the target's fault.
pub(super) fn ours(why: String) -> Failure {
    Failure::new(Phase::Request, Kind::Internal, why)
}
