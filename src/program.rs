//! Programs of one's own: what a crate adds to the command line (resources in Rust, providers for kinds of its own), and
//! the call that runs all of it. How the commands use it is in `cli::own`; nothing here knows the engine.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use plinth_provider::{Error, Program, Provider, Result, Typed};
use plinth_stacks::model::Stack;
use serde::Serialize;

type MakeProvider = dyn Fn(&Site<'_>) -> Result<Arc<dyn Provider>> + Send + Sync;
type Declare = dyn Fn(&Stack, &mut Program) -> Result<()> + Send + Sync;

/// What a crate adds to the command line.
#[derive(Default)]
pub struct Setup {
    pub(crate) providers: Vec<Box<MakeProvider>>,
    pub(crate) programs: Vec<Box<Declare>>,
}

/// For what a provider is made.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The stack, with its parameters.
    pub stack: &'a Stack,
    /// Whether the stack is only rehearsed: the provider must then touch nothing but `folder`.
    pub rehearse: bool,
    /// A folder for what stands in for the real system, beside the stack's state. Nobody has made it yet.
    pub folder: &'a Path,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("providers", &self.providers.len())
            .field("programs", &self.programs.len())
            .finish()
    }
}

impl Setup {
    /// Nothing but what the command line brings by itself.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a provider. It is made for every command that opens a stack, also for those that touch no system: making it
    /// touches nothing. An error of [`Stack::parameters`] in it is told at its place in the stack file.
    #[must_use]
    pub fn provider(
        mut self,
        make: impl Fn(&Site<'_>) -> Result<Arc<dyn Provider>> + Send + Sync + 'static,
    ) -> Self {
        self.providers.push(Box::new(make));
        self
    }

    /// Adds a program. Its resources come after those of the platform and of the stack file's `resources`. It may run
    /// several times in one command, and declares the same for the same stack. An error with a path is told at that
    /// place of the stack file.
    #[must_use]
    pub fn program(
        mut self,
        declare: impl Fn(&Stack, &mut Program) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.programs.push(Box::new(declare));
        self
    }
}

// A process has one program as it has one list of arguments; commands reach it as they reach those.
static SETUP: OnceLock<Setup> = OnceLock::new();

/// Runs the whole command line, with the process's arguments and what a crate adds to it. Call it once, from `main`.
///
/// # Panics
/// When it is called a second time in one process.
pub fn run(setup: Setup) -> ExitCode {
    assert!(SETUP.set(setup).is_ok(), "plinth::run is called once in a process");
    crate::cli::main()
}

/// What was added to this process's command line, if anything.
pub(crate) fn setup() -> Option<&'static Setup> {
    SETUP.get()
}

/// Declares a Kubernetes object by its type, under the name that it has in its cluster: `namespace/name`, or `name`. Any
/// text in it may be another resource's output, by [`Typed::text`].
///
/// # Errors
/// When it has no name, or one that cannot stand in a URN.
pub fn object<O>(program: &mut Program, object: &O) -> Result<Typed<O>>
where
    O: Metadata<Ty = ObjectMeta> + Serialize,
{
    let kind = format!("k8s:{}/{}", O::API_VERSION, O::KIND);
    let metadata = object.metadata();
    let Some(name) = metadata.name.as_deref().filter(|name| !name.is_empty()) else {
        return Err(Error::invalid(format!("a {kind} has no name")).help("give it `metadata.name`"));
    };
    match metadata.namespace.as_deref() {
        Some(namespace) => program.declare_as(&kind, &format!("{namespace}/{name}"), object),
        None => program.declare_as(&kind, name, object),
    }
}
