//! A mapping that keeps no descriptor of its file: a process may have few.

use crate::error::{Error, Result};
use crate::file::Opened;
use crate::mapping::{Mapping, Pages, State};
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

    /// The file, for what needs it again; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it was closed by [`Mapping::close_file`]; `EBADF` if its descriptor, which the user
    /// can see, does not stand for it any more; the OS's; [`Error::Closed`].
    pub(crate) fn opened(&self, state: &State) -> Result<Option<Opened>> {
        let file = match self.pages_in(state) {
            Pages::Mapped(region) => region.checked_file()?,
            Pages::Empty(file) => file.clone(),
            Pages::Closed => return Err(Error::Closed),
        };
        if file.is_none() && self.kind != Kind::Anonymous {
            return Err(FILE_IS_CLOSED);
        }
        file.map(Opened::again).transpose()
    }
}
