//! Soon.
/// x
#[derive(Debug, clap::Args)]
pub struct Options {}
/// x
pub async fn run(_o: &Options) -> anyhow::Result<()> {
    Ok(())
}
