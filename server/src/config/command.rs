//! The command line: from the arguments and the environment to one [`Command`] for `main` to carry out.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use super::activation::passed;
use super::app::AppSource;
use super::error::{CliError, one_line};
use super::invocation::Invocation;
use super::layers::{self, Origin, Settings};
use super::machine::Machine;
use super::options::{CONFIGURATION, Options};
use super::resolve::resolve;
use super::{Config, print};

/// What the process shall do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Serve as the supervisor.
    Serve(Box<Config>),
    /// Ask a running server.
    Ctl(Invocation),
    /// Print this on standard output and leave: help, version, completions, configuration.
    Print(String),
    /// Be the template. Only the supervisor starts a process with this.
    Template,
}

const USAGE: &str = "\
smarthttpd [OPTIONS] MODULE:CALLABLE
       smarthttpd ctl [--socket PATH] [--json] status|top|reload|reopen-logs|scale|stop";

const AFTER_HELP: &str = "\
TIME is in seconds, or a number with ms, s, m or h: 500ms, 30s, 2m.
SIZE is in bytes, or a number with k, m or g (powers of 1024): 64k, 10m, 1g.

Every option can also come from the environment, as SMARTHTTPD_ and its name in
capitals (SMARTHTTPD_MIN_WORKERS=2), and from the --config file, by its name
(min-workers = 2). A flag beats the environment, the environment beats the file.
Options of another process manager than the chosen one are refused on the
command line and unused elsewhere.

Examples:
  smarthttpd app:app                    serves `app` of app.py on 127.0.0.1:8000
  smarthttpd --bind :80 --bind unix:/run/shop.sock --chdir /srv/shop shop:app
  smarthttpd --load 'module->callable'  the same as module:callable;
                                        --lode:'module->callable' works as well
  smarthttpd --mpm prefork --max-request-workers 64 app:app
  smarthttpd ctl status                 what the workers do, and why

Exit codes:
  0  all went as asked
  1  something unexpected failed
  2  wrong options, environment or configuration file
  3  the application could not be loaded
  4  an address can't be bound
  5  ctl reached no server";

/// What is shown to somebody who calls us without any argument.
const NOTHING: &str = "\
no application given

Usage: smarthttpd [OPTIONS] MODULE:CALLABLE

Example: smarthttpd --bind 127.0.0.1:8000 app:app    serves `app` of app.py in this directory
         smarthttpd --help                           lists the options";

/// An HTTP server for Python WSGI applications that sizes itself from measured load
#[derive(Debug, Parser)]
#[command(name = "smarthttpd", bin_name = "smarthttpd", version, override_usage = USAGE, after_help = AFTER_HELP,
          disable_help_subcommand = true)]
pub(super) struct Cli {
    /// The application: a module and the WSGI callable in it; MODULE alone means MODULE:app
    #[arg(value_name = "MODULE:CALLABLE", value_parser = AppSource::wsgi)]
    application: Option<AppSource>,
    /// The same, spelt 'MODULE->CALLABLE' (quoted: the shell would take > for itself)
    #[arg(long, value_name = "APP", value_parser = AppSource::wsgi, help_heading = "Application")]
    load: Option<AppSource>,
    #[command(flatten)]
    pub(super) options: Options,
    /// Import the application in each worker
    #[arg(long, overrides_with = "preload", help_heading = "Application")]
    no_preload: bool,
    /// TOML file with any of these options
    #[arg(short, long, value_name = "FILE", help_heading = CONFIGURATION)]
    config: Option<PathBuf>,
    /// Say whether the configuration is valid, and leave
    #[arg(long, help_heading = CONFIGURATION)]
    check_config: bool,
    /// Print the configuration with every default filled in, as a TOML file, and leave
    #[arg(long, help_heading = CONFIGURATION)]
    print_config: bool,
    /// Print a shell's completions, and leave
    #[arg(long, value_name = "SHELL", help_heading = CONFIGURATION)]
    completions: Option<Shell>,
    #[command(subcommand)]
    command: Option<Role>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Tell a running server what to do, or ask how it is
    Ctl(Invocation),
    #[command(name = "__template", hide = true)]
    Template,
}

/// What surrounds the command line.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// The environment's variables, by name.
    pub(super) variables: BTreeMap<String, OsString>,
    /// The machine that defaults depend on.
    pub(super) machine: Machine,
    /// The process that asks.
    pub(super) pid: u32,
}

/// Reads the process's arguments (the first is its own name) and environment.
///
/// # Errors
/// Whatever the operator got wrong, as one line for standard error and an exit code.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, CliError> {
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    parse_in(arguments, &Surroundings { variables, machine: Machine::read(), pid: std::process::id() })
}

/// [`parse`] without a look at the process.
pub(super) fn parse_in(
    arguments: impl IntoIterator<Item = OsString>,
    surroundings: &Surroundings,
) -> Result<Command, CliError> {
    let arguments: Vec<OsString> = with_prototype_spelling(arguments);
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return shown_or_wrong(&error),
    };
    match cli.command {
        Some(Role::Ctl(_)) if cli.application.is_some() || cli.options != Options::default() => {
            let problem = "`smarthttpd ctl` takes none of the server's options (smarthttpd ctl --help lists its own)";
            return Err(CliError::Usage(problem.to_owned()));
        }
        Some(Role::Ctl(invocation)) => {
            let variable = surroundings.variables.get(&layers::variable("control-socket"));
            return Ok(Command::Ctl(invocation.or_socket(variable.map(OsString::as_os_str))));
        }
        Some(Role::Template) => return Ok(Command::Template),
        None => {}
    }
    if let Some(shell) = cli.completions {
        return Ok(Command::Print(completions(shell)));
    }

    let (print_it, check_it) = (cli.print_config, cli.check_config);
    let settings = lay_out(cli, &surroundings.variables)?;
    if arguments.len() <= 1 && settings.origin("app").is_none() {
        return Err(CliError::Nothing(NOTHING));
    }
    let variables = &surroundings.variables;
    let text = |name: &str| variables.get(name).and_then(|value| value.to_str()).map(str::to_owned);
    let is_activated = !passed(text, surroundings.pid).is_empty();
    let config = resolve(&settings, &surroundings.machine, variables.get("VIRTUAL_ENV"), is_activated)?;
    if print_it {
        Ok(Command::Print(print::to_toml(&config)?))
    } else if check_it {
        Ok(Command::Print("configuration ok\n".to_owned()))
    } else {
        Ok(Command::Serve(Box::new(config)))
    }
}

/// Help and version are errors to clap, but not to us.
fn shown_or_wrong(error: &clap::Error) -> Result<Command, CliError> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(Command::Print(error.render().to_string())),
        _ => Err(CliError::Usage(flag_problem(error))),
    }
}

/// clap's message as one line, without its detour over usage; our value types say themselves what to write instead.
fn flag_problem(error: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue};
    // Only `ctl` demands one.
    if matches!(error.kind(), ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
        return "ctl: say what to do, e.g. status (smarthttpd ctl --help lists it)".to_owned();
    }
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(ContextValue::String(argument))) => {
            // `--bind <ADDRESS>` or `[MODULE:CALLABLE]`: the name is enough.
            let name = argument.split([' ', '[', ']', '=']).find(|name| !name.is_empty()).unwrap_or(argument);
            format!("{name}: {}", layers::bad_value(error))
        }
        _ => format!("{} (smarthttpd --help lists the options)", one_line(&error.render().to_string())),
    }
}

/// File below environment below flags.
fn lay_out(cli: Cli, variables: &BTreeMap<String, OsString>) -> Result<Settings, CliError> {
    let mut settings = Settings::default();
    let config_variable = layers::variable("config");
    let named = variables.get(&config_variable).filter(|path| !path.is_empty());
    if let Some(path) = cli.config {
        layers::lay_file(&mut settings, &path, Origin::Flag("--config".to_owned()))?;
    } else if let Some(path) = named {
        layers::lay_file(&mut settings, Path::new(path), Origin::Variable(config_variable))?;
    }
    layers::lay_environment(&mut settings, variables)?;

    let mut flags = cli.options;
    if cli.no_preload {
        flags.preload = Some(false);
    }
    let spellings = [("MODULE:CALLABLE", cli.application), ("--load", cli.load), ("--app", flags.app.take())];
    let mut app_flag = "--app";
    for (spelling, app) in spellings {
        match (&flags.app, app) {
            (_, None) => {}
            (None, app) => {
                app_flag = spelling;
                flags.app = app;
            }
            (Some(first), Some(second)) if *first == second => {}
            (Some(first), Some(second)) => {
                return Err(CliError::Usage(format!(
                    "{app_flag} says {first}, but {spelling} says {second}; one server serves one application"
                )));
            }
        }
    }
    settings.lay(&flags, |name| Origin::Flag(if name == "app" { app_flag.to_owned() } else { format!("--{name}") }))?;
    Ok(settings)
}

/// The prototype took one argument `--lode:module->callable`: the same as `--load`, followed by the rest.
fn with_prototype_spelling(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut spelt = Vec::new();
    for argument in arguments {
        let app = ["--lode:", "--load:"].iter().find_map(|prefix| argument.to_str()?.strip_prefix(prefix));
        match app {
            Some(app) => {
                let mut flag = OsString::from("--load=");
                flag.push(OsStr::new(app));
                spelt.push(flag);
            }
            None => spelt.push(argument),
        }
    }
    spelt
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "smarthttpd", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
