//! Static files: directories laid over an application's paths (`--static /PREFIX=DIR`).
//!
//! Owns which requests are answered from a directory, and how. Wraps the application like any other of its kind: the
//! worker can't tell the difference, and calls it on the same thread. Must not know Python (a file is sent without the
//! interpreter lock), sockets, workers or the configuration. `template` calls [`lay_over`].
//!
//! **What is a regular file below the directory is answered from there; everything else is the application's**: names
//! that don't exist, names that begin with a dot, and whatever would lead out of the directory.
//!
//! # Map
//!
//! | module | owns |
//! | --- | --- |
//! | `place` | from a request's path to a name below a directory; pure |
//! | `folder` | from that name to an open file, never outside the directory |
//! | `wishes` | the request's fields that matter here, gathered in one pass |
//! | `validators` | ETag and Last-Modified of a file |
//! | `conditions` | If-Match and its like (RFC 9110 §13) |
//! | `range` | Range (RFC 9110 §14) |
//! | `encoding` | Accept-Encoding, and which precompressed file serves it |
//! | `media_type` | Content-Type by extension |
//! | `answer` | the response |

mod answer;
mod conditions;
mod encoding;
mod folder;
mod media_type;
mod place;
mod range;
mod validators;
mod wishes;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use self::answer::{Answer, Content};
use self::encoding::Coding;
use self::folder::{Entry, Folder, Opened};
use self::place::{Place, Prefix};
use self::wishes::Wishes;
use crate::exchange::{Application, CallCost, Failed, Request, ResponseSink, Task, TaskDesk};

/// The file that stands for its directory.
const INDEX: &[u8] = b"index.html";

/// What is served, and how.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Prefixes (`/`, or `/` before each segment, not percent-encoded) and their absolute directories.
    pub(crate) mounts: Vec<(String, PathBuf)>,
    /// Seconds for `Cache-Control: max-age`; `None`: no such header.
    pub(crate) max_age: Option<u64>,
    /// Whether precompressed siblings are looked for.
    pub(crate) precompressed: bool,
    /// Whether symbolic links may lead anywhere.
    pub(crate) follow_links: bool,
}

/// `application` with files laid over it; the very same one if there are none.
pub(crate) fn lay_over(application: Arc<dyn Application>, settings: Settings) -> Arc<dyn Application> {
    if settings.mounts.is_empty() {
        return application;
    }
    let Settings { mounts, max_age, precompressed, follow_links } = settings;
    let mut mounts: Vec<Mount> = mounts
        .into_iter()
        .map(|(prefix, directory)| Mount { prefix: Prefix::new(&prefix), folder: Folder::new(directory, follow_links) })
        .collect();
    // The longest prefix wins; of two equally long ones at most one can match.
    mounts.sort_by_key(|mount| std::cmp::Reverse(mount.prefix.depth()));
    Arc::new(Statics { application, mounts, max_age, precompressed })
}

struct Mount {
    prefix: Prefix,
    folder: Folder,
}

/// An application below, files above.
struct Statics {
    application: Arc<dyn Application>,
    /// Those with the longest prefixes first.
    mounts: Vec<Mount>,
    max_age: Option<u64>,
    precompressed: bool,
}

/// What there is for a request.
enum Found {
    /// The file of this name.
    File(Vec<u8>, Opened),
    /// A directory that has an index, asked for without the slash behind its name.
    SlashMissing,
    Nothing,
}

impl Application for Statics {
    fn handle(&self, request: &mut Request, sink: &mut dyn ResponseSink, cost: &mut CallCost) -> Result<(), Failed> {
        let path = request.head.path(&request.bytes).as_bytes();
        let mount = self.mounts.iter().find_map(|mount| Some((&mount.folder, mount.prefix.strip(path)?)));
        if let Some((folder, rest)) = mount
            && let Some(place) = Place::of(rest)
            && let Some(answer) = self.answer(request, folder, &place)
        {
            return answer.send(sink);
        }
        self.application.handle(request, sink, cost)
    }

    fn enter_thread(&self, body: &mut dyn FnMut()) {
        self.application.enter_thread(body);
    }

    fn open_desk(&self, desk: Arc<dyn TaskDesk>) {
        self.application.open_desk(desk);
    }

    fn run_task(&self, task: &Task) -> Result<(), Failed> {
        self.application.run_task(task)
    }

    fn await_turn(&self) {
        self.application.await_turn();
    }

    fn stack_of(&self, thread: u64, patience: Duration) -> Option<String> {
        self.application.stack_of(thread, patience)
    }
}

impl Statics {
    /// The answer from `folder`; `None`: it has nothing to say.
    fn answer(&self, request: &Request, folder: &Folder, place: &Place) -> Option<Answer> {
        let (head, bytes) = (&request.head, &request.bytes[..]);
        let method = head.method(bytes);
        let reads = matches!(method, "GET" | "HEAD");
        let (name, original) = match find(folder, place) {
            Ok(Found::File(..)) if !reads => return Some(Answer::method_not_allowed()),
            Ok(Found::File(name, opened)) => (name, opened),
            Ok(Found::SlashMissing) if reads => return Some(Answer::add_slash(head.path(bytes), head.query(bytes))),
            Ok(Found::SlashMissing | Found::Nothing) => return None,
            Err(error) => {
                tracing::error!(path = head.path(bytes), "a static file in {folder} can't be opened: {error}");
                return Some(Answer::unavailable(&error));
            }
        };
        let wishes = Wishes::of(head, bytes);
        let (opened, coding) = match self.precompressed {
            true => compressed(folder, &name, original, &wishes),
            false => (original, None),
        };
        let content = Content {
            validators: opened.version.validators(SystemTime::now()),
            media_type: media_type::of(&name),
            coding,
            varies: self.precompressed,
            max_age: self.max_age,
            opened,
        };
        Some(Answer::to(content, &wishes, method == "HEAD"))
    }
}

fn find(folder: &Folder, place: &Place) -> io::Result<Found> {
    let index = || -> io::Result<Found> {
        let name = place.below(INDEX);
        Ok(match folder.open(&name)? {
            Entry::File(opened) => Found::File(name, opened),
            Entry::Directory | Entry::Nothing => Found::Nothing,
        })
    };
    match place {
        Place::Directory(_) => index(),
        Place::Name(name) => Ok(match folder.open(name)? {
            Entry::File(opened) => Found::File(name.clone(), opened),
            Entry::Directory if matches!(index()?, Found::File(..)) => Found::SlashMissing,
            Entry::Directory | Entry::Nothing => Found::Nothing,
        }),
    }
}

/// The precompressed sibling that the client likes best; the original if there is none, or none that is as new.
fn compressed(folder: &Folder, name: &[u8], original: Opened, wishes: &Wishes<'_>) -> (Opened, Option<Coding>) {
    for coding in encoding::accepted(&wishes.accept_encoding).into_iter().flatten() {
        // A sibling that can't be opened costs nothing but bandwidth: the original is at hand.
        if let Ok(Entry::File(sibling)) = folder.open(&[name, coding.extension()].concat())
            && sibling.version.is_as_new_as(&original.version)
        {
            return (sibling, Some(coding));
        }
    }
    (original, None)
}
