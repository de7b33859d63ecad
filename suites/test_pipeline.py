"""What must hold of the pipeline as GitHub tells it, and of the images in the registry."""

import pytest


@pytest.mark.check("github.token_left")
def test_token_is_good_for_a_while(github, token_left):
    """A token that ends on a Sunday stops the pipeline on a Sunday.

    Mend: make a new one, and put it where the old one is.
    """
    assert token_left.value in github.token_left, token_left.reason


@pytest.mark.check("run.green", severity="blocker")
def test_newest_run_is_green(workflow_runs, last_runs):
    """What is released on a red run is known to be broken.

    Mend: open the run, and begin with the first job that failed.
    """
    assert last_runs.green in workflow_runs.green, last_runs.reason


@pytest.mark.check("run.age")
def test_newest_run_is_fresh(workflow_runs, last_runs):
    """GitHub turns schedules off where nobody commits for 60 days, and says it in a mail.

    Mend: enable the workflow again, and see when it was due.
    """
    assert last_runs.age_s in workflow_runs.age, last_runs.reason


@pytest.mark.check("run.took")
def test_newest_run_kept_to_its_time(workflow_runs, last_runs):
    """A pipeline that takes too long is gone around in an emergency.

    Mend: see which job grew.
    """
    assert last_runs.took_s in workflow_runs.took, last_runs.reason


@pytest.mark.check("run.jobs", severity="blocker")
def test_job_was_green(expected, job_green):
    """A job that was skipped makes the run as green as one that passed.

    Mend: open the job; if it was skipped, see its `if`, and what it needs.
    """
    assert job_green.value in expected, job_green.reason


@pytest.mark.check("run.job_took")
def test_job_kept_to_its_time(expected, job_took_s):
    """Each phase has its budget, since the whole window is only so long.

    Mend: see the times of its steps.
    """
    assert job_took_s in expected


@pytest.mark.check("run.artifacts")
def test_run_has_left_its_artifacts(workflow_runs, run_artifacts):
    """What the run found is asked for later, when nothing of it can be repeated.

    Mend: see the step that uploads it, and for how long it is kept.
    """
    assert run_artifacts in workflow_runs.artifacts


@pytest.mark.check("run.leaks", severity="blocker")
def test_logs_of_the_run_hold_no_secret(workflow_runs, log_leaks):
    """Logs are read by everybody who may read the code, and of an open repository by everybody.

    Mend: change the secret where it is accepted, delete the logs, and mask what prints it.
    """
    assert log_leaks.value in workflow_runs.leaks, log_leaks.reason


@pytest.mark.check("run.success_rate")
def test_most_runs_are_green(workflow_runs, last_runs):
    """Where every third run is red, nobody looks why.

    Mend: find the tests that fail at random, and mend them or take them out.
    """
    assert last_runs.success_rate in workflow_runs.success_rate, last_runs.reason


@pytest.mark.check("run.usually_took")
def test_runs_usually_keep_to_their_time(workflow_runs, last_runs):
    """It grows by seconds a week, until a hotfix takes two hours.

    Mend: see which job grew over the last months.
    """
    assert last_runs.usually_took_s in workflow_runs.usually_took, last_runs.reason


@pytest.mark.check("run.ran")
def test_job_runs_seldom(expected, job_ran):
    """A rollback in every fifth deployment says that something before it lets too much through.

    Mend: see what those runs failed at, and test for it earlier.
    """
    assert job_ran.value in expected, job_ran.reason


@pytest.mark.check("branch_protection.reviews", severity="blocker")
def test_branch_needs_reviews(branch_protection, actual_branch):
    """Without it one stolen laptop is enough to reach production.

    Mend: require approvals in the protection or a ruleset of the branch.
    """
    assert actual_branch["reviews"] in branch_protection.reviews


@pytest.mark.check("branch_protection.checks", severity="blocker")
def test_branch_needs_green_checks(branch_protection, actual_branch):
    """A check that isn't required is one that can be merged over.

    Mend: require it, by the name that the job has now.
    """
    assert actual_branch["checks"] in branch_protection.checks


@pytest.mark.check("branch_protection.up_to_date")
def test_requests_hold_the_newest_of_the_branch(branch_protection, actual_branch):
    """Two requests that are green each on its own may be red together.

    Mend: require branches to be up to date, or use a merge queue.
    """
    assert actual_branch["up_to_date"] in branch_protection.up_to_date


@pytest.mark.check("branch_protection.code_owners")
def test_owners_of_the_code_must_approve(branch_protection, actual_branch):
    """Whoever knows the payments should see what changes in them.

    Mend: require review from code owners, and write CODEOWNERS.
    """
    assert actual_branch["code_owners"] in branch_protection.code_owners


@pytest.mark.check("branch_protection.for_admins")
def test_administrators_are_held_to_the_rules(branch_protection, actual_branch):
    """In a hurry everybody who may go past the rules does.

    Mend: do not allow administrators to bypass the protection.
    """
    assert actual_branch["for_admins"] in branch_protection.for_admins


@pytest.mark.check("branch_protection.force_push")
def test_history_of_the_branch_cannot_be_rewritten(branch_protection, actual_branch):
    """After a forced push nobody can say what was released.

    Mend: forbid force pushes.
    """
    assert actual_branch["force_push"] in branch_protection.force_push


@pytest.mark.check("branch_protection.deletion")
def test_branch_cannot_be_deleted(branch_protection, actual_branch):
    """The pipeline that deploys from it is gone with it.

    Mend: forbid its deletion.
    """
    assert actual_branch["deletion"] in branch_protection.deletion


@pytest.mark.check("deploy_environment.exists")
def test_environment_is_there(deploy_environment, actual_environment):
    """GitHub makes an environment that is only named in a job by itself, with nothing that protects it.

    Mend: make it, with its reviewers and its secrets.
    """
    assert actual_environment["exists"] in deploy_environment.exists


@pytest.mark.check("deploy_environment.reviewers", severity="blocker")
def test_deployments_have_to_be_approved(deploy_environment, actual_environment):
    """Without a reviewer whatever reaches the branch reaches production.

    Mend: add required reviewers to the environment.
    """
    assert actual_environment.get("reviewers") in deploy_environment.reviewers


@pytest.mark.check("deploy_environment.self_review")
def test_nobody_approves_what_they_started(deploy_environment, actual_environment):
    """Four eyes are two when both belong to one person.

    Mend: prevent self-review in the environment.
    """
    assert actual_environment.get("self_review") in deploy_environment.self_review


@pytest.mark.check("deploy_environment.admins_bypass")
def test_administrators_wait_for_approval_too(deploy_environment, actual_environment):
    """A button that goes past the approval will be pressed at night.

    Mend: do not allow administrators to bypass the rules of the environment.
    """
    assert actual_environment.get("admins_bypass") in deploy_environment.admins_bypass


@pytest.mark.check("deploy_environment.wait")
def test_deployments_wait_a_while(deploy_environment, actual_environment):
    """A few minutes are time enough to see that it was the wrong button.

    Mend: set the wait timer of the environment.
    """
    assert actual_environment.get("wait") in deploy_environment.wait


@pytest.mark.check("deploy_environment.branches", severity="blocker")
def test_only_declared_branches_are_deployed(deploy_environment, actual_environment):
    """Anybody who may push a branch can otherwise write a workflow that deploys it.

    Mend: narrow the environment down to selected branches and tags.
    """
    assert actual_environment.get("branches") in deploy_environment.branches


@pytest.mark.check("actions_secrets.names", severity="blocker")
def test_secrets_of_the_repository_are_set(secret_names, known_secrets):
    """A secret that is not set is an empty text, and the deployment fails half way.

    Mend: run `gh secret set NAME`.
    """
    assert known_secrets.names in secret_names.names


@pytest.mark.check("actions_secrets.age")
def test_secrets_of_the_repository_are_changed_regularly(secret_names, known_secrets):
    """Everybody who has left still knows what was never changed.

    Mend: make a new one where it is accepted, and set it.
    """
    assert known_secrets.age_s in secret_names.age, f"the oldest is {known_secrets.oldest}"


@pytest.mark.check("environment_secrets.names", severity="blocker")
def test_secrets_of_the_environment_are_set(environment_secret_names, known_environment_secrets):
    """A secret that is not set is an empty text, and the deployment fails half way.

    Mend: run `gh secret set NAME --env ENVIRONMENT`.
    """
    assert known_environment_secrets.names in environment_secret_names.names


@pytest.mark.check("environment_secrets.age")
def test_secrets_of_the_environment_are_changed_regularly(environment_secret_names, known_environment_secrets):
    """Everybody who has left still knows what was never changed.

    Mend: make a new one where it is accepted, and set it.
    """
    known = known_environment_secrets
    assert known.age_s in environment_secret_names.age, f"the oldest is {known.oldest}"


@pytest.mark.check("deployment.commit", severity="blocker")
def test_declared_commit_was_deployed(deployment, newest_deployment):
    """Everybody looks for the mistake in code that isn't there yet.

    Mend: deploy it, or look at why its deployment was not recorded.
    """
    assert newest_deployment.get("commit") in deployment.commit


@pytest.mark.check("deployment.state", severity="blocker")
def test_newest_deployment_ended_as_declared(deployment, newest_deployment):
    """A deployment that failed half way leaves something that nobody has tested.

    Mend: open it, and deploy again or roll back.
    """
    assert newest_deployment.get("state") in deployment.state


@pytest.mark.check("deployment.url")
def test_deployment_tells_its_url(deployment, newest_deployment):
    """Whoever is woken wants one click to what was deployed.

    Mend: write `environment: {name: …, url: …}` in the job.
    """
    assert newest_deployment.get("url") in deployment.url


@pytest.mark.check("deployment.by")
def test_deployment_tells_who_deployed(deployment, newest_deployment):
    """The first question after an incident is who can tell what was done.

    Mend: deploy by a job with an environment, so that GitHub records it.
    """
    assert newest_deployment.get("by") in deployment.by


@pytest.mark.check("deployment.age")
def test_newest_deployment_is_recent(deployment, newest_deployment):
    """What was not deployed for long is deployed with fear.

    Mend: see what waits, and why.
    """
    assert newest_deployment.get("age") in deployment.age


@pytest.mark.check("release.exists", severity="blocker")
def test_release_is_published(release, actual_release):
    """Whoever rolls back by night looks for the last release in this list.

    Mend: publish it: `gh release create`.
    """
    assert actual_release["exists"] in release.exists


@pytest.mark.check("release.semantic")
def test_release_is_a_semantic_version(release, semantic_tag):
    """From 1.4.2 to 2.0.0 one expects to read the notes; from tuesday to tuesday-2 nobody does.

    Mend: tag it as v1.4.2.
    """
    assert semantic_tag in release.semantic


@pytest.mark.check("release.prerelease")
def test_release_is_for_everybody_or_not(release, actual_release):
    """A candidate that is marked as a release is installed by whoever takes the latest.

    Mend: set or clear "pre-release".
    """
    assert actual_release.get("prerelease") in release.prerelease


@pytest.mark.check("release.notes")
def test_release_has_notes(release, actual_release):
    """Support learns from customers what has changed.

    Mend: write them, or generate them from the requests.
    """
    assert actual_release.get("notes") in release.notes


@pytest.mark.check("release.assets", severity="blocker")
def test_release_has_its_assets(release, actual_release):
    """A release whose files failed to upload can't be installed, nor rolled back to.

    Mend: upload what is missing: `gh release upload`.
    """
    assert actual_release.get("assets") in release.assets


@pytest.mark.check("image.exists", severity="blocker")
def test_image_is_in_the_registry(image, manifest):
    """The deployment begins, stops the old version, and then finds nothing to pull.

    Mend: see whether the job that pushes it ran for this commit.
    """
    assert (manifest is not None) in image.exists


@pytest.mark.check("image.digest", severity="blocker")
def test_image_is_the_one_that_was_tested(image, manifest):
    """A tag can be pushed again; what was tested is then no longer what runs.

    Mend: deploy by digest, or push the tested image under this tag.
    """
    assert (None if manifest is None else manifest.digest) in image.digest


@pytest.mark.check("image.age")
def test_image_was_built_lately(image, image_built_s):
    """An old image has the holes of its day in it.

    Mend: build it again on a new base.
    """
    assert image_built_s in image.age


@pytest.mark.check("image.platforms")
def test_image_runs_on_the_declared_platforms(image, image_platforms):
    """On the new machines it ends with "exec format error".

    Mend: build for all platforms: `docker buildx build --platform`.
    """
    assert image_platforms in image.platforms


@pytest.mark.check("image.labels")
def test_image_tells_where_it_comes_from(expected, image_label):
    """An image that doesn't tell its commit can't be compared with the code.

    Mend: label it in the build, as docker/metadata-action does.
    """
    assert image_label in expected


@pytest.mark.check("image.tags")
def test_image_has_the_declared_tags(image, image_tags):
    """What was cleaned up yesterday may be what one wants to go back to tomorrow.

    Mend: push the tag, and let the cleaning keep the last releases.
    """
    assert image_tags in image.tags


@pytest.mark.check("image.same_as")
def test_image_is_the_same_as_another_tag(expected, same_image):
    """`latest` that is not the release is started by everybody who names no version.

    Mend: push the tag again, or stop using it.
    """
    assert same_image in expected


@pytest.mark.check("image.also", severity="blocker")
def test_image_to_go_back_to_is_there(expected, other_manifest):
    """A rollback pulls the release before this one, and has to find it.

    Mend: push it again from its commit, and let the cleaning keep it.
    """
    assert (other_manifest is not None) in expected
