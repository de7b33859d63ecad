"""What must hold of a repository: its commit, its files, its stacks, and what its test runs left behind."""

import pytest


@pytest.mark.check("repository.head", severity="blocker")
def test_the_release_is_what_is_checked_out(repository, checkout_here):
    """Everything else that is seen here is said of another commit than the one that goes live.

    Mend: check the commit of the release out, and run again.
    """
    assert checkout_here.head in repository.head


@pytest.mark.check("repository.branch")
def test_the_declared_branch_is_checked_out(repository, checkout_here):
    """A release from somebody's branch leaves with what nobody has reviewed.

    Mend: check the branch out.
    """
    assert checkout_here.branch in repository.branch


@pytest.mark.check("repository.tags")
def test_the_commit_carries_the_tag_of_the_release(repository, checkout_here):
    """Without a tag nobody can say by night what the release before this one was.

    Mend: tag this commit, or check out the commit that has the tag; a shallow clone may not have it.
    """
    assert checkout_here.tags in repository.tags


@pytest.mark.check("repository.clean")
def test_nothing_differs_from_the_commit(repository, checkout_here):
    """What is changed here and not committed is in no pipeline, and is gone with this folder.

    Mend: commit it, or throw it away.
    """
    assert checkout_here.clean in repository.clean, checkout_here.told


@pytest.mark.check("repository.holds")
def test_the_commit_holds_the_newest_of_the_branch(expected, key, holds_newest):
    """A release from behind the branch takes the mended bugs back.

    Mend: pull, or rebase onto the branch.
    """
    assert holds_newest in expected, f"{key} has commits that are not here"


@pytest.mark.check("repository.ignores", severity="blocker")
def test_files_that_must_never_be_committed_are_ignored(expected, ignored):
    """Sooner or later somebody writes `git add .`, and the .env is public for ever.

    Mend: add it to .gitignore; if it is tracked already, `git rm --cached` it and change what it holds.
    """
    assert ignored.value in expected, ignored.reason


@pytest.mark.check("repository.leaks", severity="blocker")
def test_no_secret_is_committed(repository, leaks):
    """Whoever may read the code has it, and so has every fork, every clone and every build log.

    Mend: change the secret where it is accepted, then take it out of the file.
    """
    assert leaks.value in repository.leaks, leaks.reason


@pytest.mark.check("repository.leaks_in_history", severity="blocker")
def test_no_secret_was_ever_committed(repository, leaks_in_history):
    """A commit that removes a secret is a signpost to it.

    Mend: change the secret where it is accepted; to rewrite the history doesn't reach the clones.
    """
    assert leaks_in_history.value in repository.leaks_in_history, leaks_in_history.reason


@pytest.mark.check("source_file.exists")
def test_file_is_committed(source_file, actual_source):
    """A runbook that is named everywhere and lies nowhere is missed when it is needed.

    Mend: write it and commit it.
    """
    assert actual_source.exists in source_file.exists, actual_source.reason


@pytest.mark.check("source_file.executable")
def test_file_can_be_run(source_file, actual_source):
    """A script that can't be run by its name fails in the pipeline, and only there.

    Mend: run `git update-index --chmod=+x` on it, and commit.
    """
    assert actual_source.executable in source_file.executable


@pytest.mark.check("source_file.size")
def test_file_of_the_repository_has_the_declared_size(source_file, actual_source):
    """An empty guide is there, and helps nobody.

    Mend: see what happened to it: `git log --stat -- <file>`.
    """
    assert actual_source.size in source_file.size


@pytest.mark.check("source_file.contains")
def test_file_of_the_repository_says_what_it_must(expected, key, source_contents):
    """One line of code or configuration makes the difference between registered and forgotten.

    Mend: change the line, and commit.
    """
    assert source_contents.has(key) in expected


@pytest.mark.check("source_file.keys")
def test_setting_of_the_repository_has_the_declared_value(expected, key, source_settings):
    """A setting of staging that slips into production takes test payments for real ones.

    Mend: correct the file of that environment, and commit.
    """
    assert source_settings.at(key, expected) in expected


@pytest.mark.check("stack.services")
def test_stack_starts_the_declared_services(stack, stack_services):
    """A service whose profile nobody passes is in the file, and is never started.

    Mend: add the service, or the profile that it is in.
    """
    assert frozenset(each.name for each in stack_services) in stack.services


@pytest.mark.check("stack.unchecked")
def test_services_of_the_stack_have_health_checks(stack, stack_unchecked):
    """Tests that begin before the database is ready fail at random, and are then ignored.

    Mend: give each a `healthcheck`, and let others wait by `condition: service_healthy`.
    """
    assert stack_unchecked.value in stack.unchecked, stack_unchecked.reason


@pytest.mark.check("stack.unpinned")
def test_images_of_the_stack_are_pinned(stack, stack_unpinned):
    """What `latest` is decides somebody else, and there is no way back to what it was.

    Mend: name a version, or better a digest.
    """
    assert stack_unpinned.value in stack.unpinned, stack_unpinned.reason


@pytest.mark.check("stack.literal_secrets", severity="blocker")
def test_no_password_stands_in_the_stack(stack, literal_secrets):
    """The password of staging in a file is tried on production by whoever reads the file.

    Mend: take it from a variable without a default, and change it.
    """
    assert literal_secrets.value in stack.literal_secrets, literal_secrets.reason


@pytest.mark.check("stack.environment")
def test_service_of_the_stack_is_given_the_declared_value(expected, stack_variable):
    """An override that is laid in the wrong order leaves the value of another environment.

    Mend: see `docker compose config` with these files.
    """
    assert stack_variable.value in expected, stack_variable.reason


@pytest.mark.check("tried.exit")
def test_command_ends_as_declared(tried, tried_ending):
    """A gate that ends with 0 whatever happens lets everything through, and a rollback trusts it.

    Mend: run it by hand as it is declared; a script has to keep count of what failed, and to `exit 1` in the end.
    """
    assert tried_ending.exit in tried.exit


@pytest.mark.check("tried.took")
def test_command_ends_in_time(tried, tried_ending):
    """What takes too long is skipped by whoever is in a hurry.

    Mend: see what it waits for.
    """
    assert tried_ending.took_s in tried.took


@pytest.mark.check("test_report.tests", severity="blocker")
def test_enough_tests_were_run(test_report, test_results):
    """No test has failed either where none was run: a pattern that matches nothing is green.

    Mend: see what the run collected, and why it was less than before.
    """
    assert test_results.tests in test_report.tests, test_results.told


@pytest.mark.check("test_report.failures", severity="blocker")
def test_no_test_has_failed(test_report, test_results):
    """A failure that everybody knows hides the one that nobody knows.

    Mend: mend the test or the code; to run it again until it passes mends neither.
    """
    assert test_results.failures in test_report.failures, test_results.told


@pytest.mark.check("test_report.skipped")
def test_few_tests_were_skipped(test_report, test_results):
    """What is skipped is not tested, and nobody counts it.

    Mend: see the reasons that the run gives.
    """
    assert test_results.skipped in test_report.skipped, test_results.told


@pytest.mark.check("test_report.age")
def test_results_are_fresh(test_report, test_files):
    """The results of last week say nothing of this release.

    Mend: run the tests again.
    """
    assert test_files.age_of_oldest_s() in test_report.age, test_files.reason


@pytest.mark.check("test_report.of_commit")
def test_results_are_of_this_commit(test_report, test_files):
    """Results that are older than the commit are of another one.

    Mend: run the tests again.
    """
    assert test_files.all_of_commit() in test_report.of_commit, test_files.reason


@pytest.mark.check("coverage.lines")
def test_enough_lines_are_covered(coverage, covered):
    """What no test runs breaks at the customer's.

    Mend: see `coverage report --show-missing`; begin with what has changed.
    """
    assert covered.lines in coverage.lines


@pytest.mark.check("coverage.branches")
def test_enough_branches_are_covered(coverage, covered):
    """The line was run, but never with the condition that fails.

    Mend: measure with `--branch`, and test the other way of the condition.
    """
    assert covered.branches in coverage.branches


@pytest.mark.check("coverage.age")
def test_coverage_is_fresh(coverage, coverage_file):
    """The coverage of last month is that of other code.

    Mend: run the tests with coverage again.
    """
    assert coverage_file.age_of_oldest_s() in coverage.age, coverage_file.reason


@pytest.mark.check("coverage.of_commit")
def test_coverage_is_of_this_commit(coverage, coverage_file):
    """A report that is older than the commit is of another one.

    Mend: run the tests with coverage again.
    """
    assert coverage_file.all_of_commit() in coverage.of_commit, coverage_file.reason


@pytest.mark.check("generated.count")
def test_reports_were_written(generated, generated_files):
    """A job that writes nothing, or an empty file, is as green as one that works.

    Mend: see the log of what writes them.
    """
    assert generated_files.count in generated.count, generated_files.reason


@pytest.mark.check("generated.size")
def test_reports_are_not_empty(generated, generated_files):
    """Half a report was written before the job died.

    Mend: see the log of what writes it.
    """
    assert generated_files.smallest in generated.size, generated_files.reason


@pytest.mark.check("generated.age")
def test_reports_are_fresh(generated, generated_files):
    """A daily report that nobody misses has often stopped long ago.

    Mend: see the schedule of what writes it, and its last run.
    """
    assert generated_files.age_of_newest_s() in generated.age, generated_files.reason


@pytest.mark.check("generated.of_commit")
def test_reports_are_of_this_commit(generated, generated_files):
    """A report from before the commit says nothing of it.

    Mend: run again what writes it.
    """
    assert generated_files.newest_of_commit() in generated.of_commit, generated_files.reason
