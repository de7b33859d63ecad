"""What must hold of the workflows of a repository: that which is written there takes effect."""

import pytest


@pytest.mark.check("workflow.exists")
def test_workflow_is_committed(workflow, workflow_file):
    """A pipeline that lies on somebody's machine runs for nobody.

    Mend: commit it into .github/workflows.
    """
    assert (workflow_file is not None) in workflow.exists


@pytest.mark.check("workflow.starts", severity="blocker")
def test_workflow_starts_where_declared(expected, workflow_started):
    """A filter that never matches is the quietest way to have no pipeline at all.

    Mend: correct `on` of the workflow; `feature/*` stops at the next slash, and `main` is not `master`.
    """
    assert workflow_started.value in expected, workflow_started.reason


@pytest.mark.check("workflow.schedules")
def test_workflow_is_started_by_the_clock(expected, workflow_scheduled):
    """GitHub's clock is UTC: a nightly run that was meant for 6 in the morning may come in the middle of the day.

    Mend: correct `cron` under `on.schedule`.
    """
    assert workflow_scheduled.value in expected, workflow_scheduled.reason


@pytest.mark.check("workflow.inputs")
def test_whoever_starts_it_is_asked_what_is_needed(workflow, workflow_inputs):
    """By night nobody remembers which variable chooses the version to roll back to.

    Mend: declare the input under `on.workflow_dispatch.inputs`.
    """
    assert workflow_inputs in workflow.inputs


@pytest.mark.check("workflow.after")
def test_workflow_follows_those_that_there_are(workflow, preceding_workflows):
    """It waits for a workflow by its name; when that is renamed, it waits for ever and says nothing.

    Mend: write the other's `name` as it is now, under `on.workflow_run.workflows`.
    """
    assert preceding_workflows.value in workflow.after, preceding_workflows.reason


@pytest.mark.check("workflow.job_count")
def test_workflow_has_the_declared_number_of_jobs(workflow, workflow_file):
    """A phase that was taken out to save time is missed only when it would have stopped the release.

    Mend: put the job back, or declare the new number.
    """
    assert (None if workflow_file is None else len(workflow_file.jobs)) in workflow.job_count


@pytest.mark.check("workflow.permissions", severity="blocker")
def test_jobs_may_do_no_more_than_declared(expected, workflow_permission):
    """Any action of others that runs in such a job may do it too.

    Mend: write `permissions` at the top of the workflow, and more only in the job that needs it.
    """
    assert workflow_permission.value in expected, workflow_permission.reason


@pytest.mark.check("workflow.unpinned_actions")
def test_actions_are_pinned_to_a_commit(workflow, unpinned_actions):
    """Whoever takes over an action moves its tag, and runs in your pipeline with your secrets.

    Mend: name the commit, with the version behind it: `uses: actions/checkout@<40 digits> # v4.2.0`.
    """
    assert unpinned_actions.value in workflow.unpinned_actions, unpinned_actions.reason


@pytest.mark.check("workflow.actions")
def test_actions_are_new_enough(expected, key, action_version):
    """GitHub turns old versions off on a day of its own choosing, and every run fails from then on.

    Mend: raise the version, and read its release notes.
    """
    assert action_version.value in expected, action_version.reason


@pytest.mark.check("workflow.one_at_a_time")
def test_two_runs_do_not_overlap(workflow, one_at_a_time):
    """Two deployments at once leave half of each.

    Mend: write `concurrency: {group: deploy-production}`, without the number of the run in it.
    """
    assert one_at_a_time.value in workflow.one_at_a_time, one_at_a_time.reason


@pytest.mark.check("workflow.secrets")
def test_workflow_asks_for_the_declared_secrets(workflow, workflow_secrets):
    """GitHub fills in nothing for a secret that nobody has set, and the step goes on with an empty password.

    Mend: name the secret as it is set in the repository.
    """
    assert workflow_secrets in workflow.secrets


@pytest.mark.check("workflow.secrets_in_scripts")
def test_secrets_are_not_part_of_a_script(workflow, secrets_in_scripts):
    """In a script the secret is on a command line, in the process list, and broken by its own quotes.

    Mend: give it by `env`, and write "$NAME" in the script.
    """
    assert secrets_in_scripts.value in workflow.secrets_in_scripts, secrets_in_scripts.reason


@pytest.mark.check("workflow.injectable", severity="blocker")
def test_strangers_cannot_write_into_a_script(workflow, injectable_scripts):
    """The title of a pull request is then a command, and it runs with your secrets.

    Mend: give it by `env`, and write "$TITLE" in the script.
    """
    assert injectable_scripts.value in workflow.injectable, injectable_scripts.reason


@pytest.mark.check("job.exists")
def test_job_is_there(job, job_here):
    """A job that was renamed is no longer the one that the branch protection waits for.

    Mend: write it, or correct its key.
    """
    assert (job_here is not None) in job.exists


@pytest.mark.check("job.runs", severity="blocker")
def test_job_runs_where_declared(expected, job_runs):
    """A deployment that runs for every branch is as bad as one that never runs.

    Mend: see `if` of the job and of those that it needs, and `on` of the workflow.
    """
    assert job_runs.value in expected, job_runs.reason


@pytest.mark.check("job.needs", severity="blocker")
def test_job_waits_for_the_others_to_succeed(job, holding_jobs):
    """Without this a release goes out while its tests fail beside it.

    Mend: add them to `needs`; `if: always()` here, or continue-on-error there, takes it away again.
    """
    assert holding_jobs in job.needs


@pytest.mark.check("job.runs_after", severity="blocker")
def test_job_runs_after_the_failure_of_others(job, after_failure_of):
    """A rollback that does not come after this failure leaves the broken release where it is.

    Mend: write `if: failure()`, and name in `needs` all jobs whose failure it has to see.
    """
    assert after_failure_of in job.runs_after


@pytest.mark.check("job.blocks", severity="blocker")
def test_failure_of_the_job_fails_the_run(job, job_blocks):
    """A red job in a green run is seen by nobody.

    Mend: take `continue-on-error` out.
    """
    assert job_blocks.value in job.blocks, job_blocks.reason


@pytest.mark.check("job.timeout")
def test_job_is_ended_in_time(job, job_here):
    """A job that hangs holds the queue for six hours, and the release with it.

    Mend: write `timeout-minutes`.
    """
    assert (None if job_here is None else job_here.job.timeout_s) in job.timeout


@pytest.mark.check("job.environment", severity="blocker")
def test_job_deploys_to_the_declared_environment(job, job_here):
    """Approval and secrets hang on the environment: without it anybody's push deploys.

    Mend: write `environment` in the job.
    """
    assert (None if job_here is None else job_here.job.environment) in job.environment


@pytest.mark.check("job.environment_url")
def test_job_tells_where_it_deployed_to(job, job_here):
    """Whoever looks at a deployment wants to see what was deployed.

    Mend: write `environment: {name: …, url: …}`.
    """
    assert (None if job_here is None else job_here.job.environment_url) in job.environment_url


@pytest.mark.check("job.matrix")
def test_matrix_has_the_declared_values(expected, job_matrix):
    """A version that is excluded from the matrix is untested, and still promised.

    Mend: correct `strategy.matrix`, and its `exclude`; 3.10 without quotes is 3.1.
    """
    assert job_matrix.value in expected, job_matrix.reason


@pytest.mark.check("job.artifacts")
def test_job_keeps_what_it_found(job, job_uploads):
    """The logs of a failure that can't be repeated are gone with the runner.

    Mend: upload them by actions/upload-artifact, with `if: always()` or `if: failure()`.
    """
    assert job_uploads.value in job.artifacts, job_uploads.reason


@pytest.mark.check("job_service.image")
def test_service_of_the_job_is_of_the_declared_image(job_service, actual_job_service):
    """Tests against another version of the database prove nothing for the one in production.

    Mend: name the image of production.
    """
    assert (actual_job_service or {}).get("image") in job_service.image


@pytest.mark.check("job_service.health_checked")
def test_job_waits_for_its_service(job_service, actual_job_service):
    """Without a health check the tests begin before the database does, and fail at random.

    Mend: write `options: --health-cmd …`.
    """
    assert (actual_job_service or {}).get("checked") in job_service.health_checked


@pytest.mark.check("job_service.health_interval")
def test_service_of_the_job_is_asked_often_enough(job_service, actual_job_service):
    """The pipeline waits for one interval at least, each time.

    Mend: write `--health-interval`.
    """
    assert (actual_job_service or {}).get("interval") in job_service.health_interval


@pytest.mark.check("job_service.health_timeout")
def test_health_check_of_the_job_ends_in_time(job_service, actual_job_service):
    """A check that hangs is not counted as a failure until its time is over.

    Mend: write `--health-timeout`.
    """
    assert (actual_job_service or {}).get("timeout") in job_service.health_timeout


@pytest.mark.check("job_service.health_retries")
def test_service_of_the_job_is_given_up_in_time(job_service, actual_job_service):
    """So long the pipeline waits for a service that will never come up.

    Mend: write `--health-retries`.
    """
    assert (actual_job_service or {}).get("retries") in job_service.health_retries


@pytest.mark.check("step.runs", severity="blocker")
def test_step_is_come_to(step, step_runs):
    """A line behind `exit 0`, or a step whose condition is never true, is only there to be read.

    Mend: see what stands before it in the script, and its `if`.
    """
    assert step_runs.value in step.runs, step_runs.reason


@pytest.mark.check("step.blocks", severity="blocker")
def test_failure_of_the_step_fails_the_run(step, step_blocks):
    """A scan that finds everything and stops nothing is decoration.

    Mend: take away what swallows its failure: continue-on-error, `|| true`, a pipe, `set +e`.
    """
    assert step_blocks.value in step.blocks, step_blocks.reason


@pytest.mark.check("step.after_failure")
def test_step_runs_after_a_failure(step, step_after_failure):
    """Logs are needed when something failed, which is just when a plain step is skipped.

    Mend: write `if: failure()` or `if: always()` at the step.
    """
    assert step_after_failure.value in step.after_failure, step_after_failure.reason


@pytest.mark.check("step.inputs")
def test_action_is_given_the_declared_input(expected, step_input):
    """An input that is misspelt is ignored with a warning, and the default holds.

    Mend: correct it under `with`.
    """
    assert step_input in expected


@pytest.mark.check("step.script")
def test_script_of_the_step_says_what_it_must(expected, step_script):
    """One flag that is not passed, and the deployment comes up without its backups.

    Mend: correct the script.
    """
    assert step_script in expected
