//! A mapping that keeps no descriptor of its file: a process may have few.

use crate::error::{Error, Result};
use crate::mapping::{Mapping, Pages};
use crate::options::Kind;
use crate::sys;

const FILE_IS_CLOSED: Error = Error::Unsupported(
    "this needs the file, which the mapping has closed: map it without `keepOpen: false`",
);

impl Mapping {
    /// Closes the file, where the system counts open files.
    pub(crate) fn close_file(&self) {
        let Some(none) = sys::NO_FILE else { return };
        match &mut self.state().pages {
            Pages::Mapped(region) => region.close_file(none),
            Pages::Empty(file) => *file = None,
            Pages::Closed => {}
        }
    }

    /// Fails where the file was closed by [`Mapping::close_file`].
    pub(crate) fn needs_file(&self) -> Result<()> {
        let is_gone = match self.pages_in(&self.state()) {
            Pages::Mapped(region) => region.file().is_none(),
            Pages::Empty(file) => file.is_none(),
            Pages::Closed => false,
        };
        if is_gone && self.kind != Kind::Anonymous { Err(FILE_IS_CLOSED) } else { Ok(()) }
    }
}
