//! What a rehearsal leaves: copies of the objects and logs that end with the local stack.

use std::path::Path;

use anyhow::{Context, Result};
use domain::outcome::Outcome;
use local::challenge::Files;
use local::deploy::OUTPUT_BUCKET;
use local::stack::Stack;

/// The log groups of builds and training jobs, and the files that their lines go to.
const LOGS: [(&str, &str); 2] =
    [("/aws/codebuild/marathon-match-local-build", "build"), ("/aws/sagemaker/TrainingJobs", "training")];

/// The platform's default limit, `MaxPredictionsBytes`.
const MAX_PREDICTIONS_BYTES: u64 = 256 << 20;

pub(crate) struct Results<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) outcome: &'a Outcome,
}

/// What was kept.
#[derive(Default)]
pub(crate) struct Kept {
    /// Files and folders, in the order of writing.
    pub(crate) names: Vec<String>,
    /// Lines of `predictions.csv` without the header, if there are predictions.
    pub(crate) prediction_rows: Option<usize>,
}

impl Results<'_> {
    /// Writes `outcome.json`, `model.tar.gz`, `output.tar.gz`, `predictions.csv`, a log for each build and training job, and
    /// the files of the challenge that scored the predictions to the folder, as far as they exist. Archives are copied and
    /// not unpacked: their entries are the submission's. Only `predictions.csv` is taken out, as the platform does it.
    pub(crate) async fn keep(&self, folder: &Path) -> Result<Kept> {
        let mut kept = Kept::default();
        let mut write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            kept.names.push(name.to_owned());
            std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))
        };
        let mut prediction_rows = None;
        write("outcome.json", format!("{}\n", serde_json::to_string_pretty(self.outcome)?).as_bytes())?;
        if let Some(training) = &self.outcome.training {
            let model = training.model_uri.strip_prefix(&format!("s3://{OUTPUT_BUCKET}/"));
            let model = model.with_context(|| format!("{} is not in {OUTPUT_BUCKET}", training.model_uri))?;
            write("model.tar.gz", &self.stack.object(OUTPUT_BUCKET, model).await?)?;
            // Training writes it only if the program left something in /opt/ml/output/data.
            if let Ok(output) = self.stack.object(OUTPUT_BUCKET, &model.replace("model.tar.gz", "output.tar.gz")).await
            {
                write("output.tar.gz", &output)?;
                let mut predictions = Vec::new();
                match outputs::copy_predictions(output.as_slice(), MAX_PREDICTIONS_BYTES, &mut predictions) {
                    Ok(_) => {
                        let lines = predictions.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
                        prediction_rows = Some(lines.saturating_sub(1));
                        write("predictions.csv", &predictions)?;
                    }
                    // The outcome says what is wrong with them if they should have been scored.
                    Err(error) => eprintln!("predictions.csv is not kept: {error}"),
                }
            }
        }
        if self.outcome.scores.is_some() {
            std::fs::create_dir_all(folder.join("challenge"))?;
            let Files { training, tournament, truth } = Files::of_samples();
            for (name, text) in [("training", training), ("tournament", tournament), ("truth", truth)] {
                write(&format!("challenge/{name}.csv"), text.as_bytes())?;
            }
        }
        for (group, name) in LOGS {
            for (at, log) in self.stack.logs(group).await?.iter().enumerate() {
                let number = if at == 0 { String::new() } else { format!("-{}", at + 1) };
                write(&format!("{name}{number}.log"), log.as_bytes())?;
            }
        }
        Ok(Kept { prediction_rows, ..kept })
    }
}
