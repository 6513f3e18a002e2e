//! The program `backup-tracker`.

fn main() -> std::process::ExitCode {
    backup_tracker_cli::main()
}
