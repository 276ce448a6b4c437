"""A setting that is accepted has an effect: each key, and the test that shows what it does."""

import re
from pathlib import Path

import pytest

from tests.harness.rule_tables import CONDITION_ROWS
from vtspolicy.config.keys import SECTIONS
from vtspolicy.rules import cleanup, conditions, forms, keys, query_keys

TESTS = Path(__file__).parents[1]

EFFECTS = """
configuration:
dial            component/test_dial_links.py::test_a_reload_changes_only_links_whose_settings_changed
node            unit/test_rules_commands.py::test_a_command_for_another_server_is_not_explained_as_if_it_ran_here
listen          unit/test_config_load.py::test_a_configuration_that_nothing_can_reach_is_a_warning
ledger          acceptance/test_new_user.py::test_a_server_that_cannot_start_says_why_in_one_line
spool           acceptance/test_new_user.py::test_a_server_that_cannot_start_says_why_in_one_line
control_group   component/test_who_acts.py::test_members_of_the_control_group_can_pass_to_the_socket_and_no_further
web             acceptance/test_new_user.py::test_metrics_health_and_readiness_are_served
console         acceptance/test_console.py::test_the_form_leads_back_to_where_somebody_wanted_to_go
web_names       component/test_web_bounds.py::test_a_request_for_a_name_of_others_is_forbidden
vaults          unit/test_vaults.py::test_all_tapes_of_all_vaults_are_listed
hosts           unit/test_rights.py::test_a_peer_is_known_by_its_address_and_its_certificate
rules           unit/test_rules_load.py::test_rules_are_numbered_through_the_files
tests           acceptance/test_operating.py::test_a_table_whose_rule_tests_fail_is_refused
families        unit/test_grammar_vocabulary.py::test_a_site_adds_a_family_and_keywords_to_another
settle          unit/test_events_ems.py::test_an_event_is_complete_when_the_settle_time_passes
connections     component/test_outbox.py::test_no_more_connections_come_in_than_are_configured
waiting         component/test_engine_gaps.py::test_a_burst_fills_a_queue_by_one_command_too_many_at_most
retention       component/test_service.py::test_requests_and_the_folders_of_their_runs_go_when_their_time_has_passed
notices_kept    unit/test_clock_trust.py::test_times_of_a_clock_that_was_doubted_are_spared
output          integration/test_runner.py::test_a_long_output_is_cut_in_the_middle_while_the_program_runs
scan            component/test_tapes_engine.py::test_the_vaults_are_watched_and_a_quiet_one_is_not_scanned_again
cluster         unit/test_rules_commands.py::test_what_only_a_cluster_rejects_is_rejected_with_its_column
listen:
endpoint        integration/test_tls.py::test_a_tls_door_is_opened_with_all_that_its_endpoint_says
format          unit/test_events_decoder.py::test_a_format_that_is_named_is_known_at_once
wrapped         unit/test_events_ems.py::test_unwrapped_lines_are_events_at_once
plain           unit/test_events_ems.py::test_among_headers_a_plain_command_is_refused_unless_it_is_wanted
key             integration/test_tls.py::test_a_host_is_known_by_the_name_in_its_certificate
cert            integration/test_tls.py::test_send_speaks_tls
clients         integration/test_tls.py::test_a_certificate_of_another_authority_does_not_do
dial:
host            unit/test_config_dial.py::test_what_is_wrong_is_told_with_its_place
endpoint        unit/test_config_dial.py::test_an_endpoint_names_host_and_port
protocol        component/test_dial_links.py::test_a_command_of_the_host_is_carried_out_and_answered_there
user            component/test_dial_conversation.py::test_a_key_lets_in_without_a_password
password_file   component/test_dial_conversation.py::test_a_wrong_password_is_tried_once_and_never_shown
key_file        component/test_dial_conversation.py::test_a_key_that_the_host_does_not_know_is_refused
known_hosts     component/test_dial_conversation.py::test_a_changed_host_key_is_refused_with_its_fingerprint
command         component/test_dial_conversation.py::test_a_command_is_run_in_the_place_of_the_subsystem
authority       integration/test_dialling.py::test_a_certificate_of_another_authority_is_refused
login           component/test_dial_conversation.py::test_every_dialogue_gets_in_over_a_connection
refused         unit/test_config_dial.py::test_what_the_host_says_when_it_refuses_can_be_changed_alone
process         component/test_dial_links.py::test_the_distributor_has_the_name_and_filters_of_the_settings
filters         component/test_dial_links.py::test_the_distributor_has_the_name_and_filters_of_the_settings
distributor     component/test_dial_links.py::test_a_distributor_that_does_not_start_is_told_and_tried_again
overlap         component/test_dial_links.py::test_a_display_begins_again_before_the_last_event
reply           component/test_dial_links.py::test_answers_are_posted_by_a_command_of_the_site
poll            component/test_dial_mounts.py::test_a_mount_that_no_event_has_told_is_found_in_the_list
login:
expect          unit/test_config_dial.py::test_a_site_writes_its_own_dialogue
send            unit/test_config_dial.py::test_a_site_writes_its_own_dialogue
within          unit/test_config_dial.py::test_a_site_writes_its_own_dialogue
optional        unit/test_config_dial.py::test_a_site_writes_its_own_dialogue
console:
endpoint        acceptance/test_console.py::test_with_tls_the_cookie_is_for_this_server_alone
key             acceptance/test_console.py::test_with_tls_the_cookie_is_for_this_server_alone
cert            acceptance/test_console.py::test_with_tls_the_cookie_is_for_this_server_alone
people          unit/test_people.py::test_people_are_read_with_their_roles_and_hosts
names           acceptance/test_console.py::test_another_name_is_refused
vaults:
root            unit/test_vaults.py::test_all_tapes_of_all_vaults_are_listed
without         unit/test_tapes_model.py::test_what_the_site_has_accepted_is_done_without_leases
hosts:
peers           unit/test_rights.py::test_a_peer_is_known_by_its_address_and_its_certificate
systems         unit/test_rights.py::test_the_system_in_the_header_decides_among_hosts_of_one_address
vaults          unit/test_rights.py::test_families_and_vaults_are_denied_unless_listed
families        unit/test_rights.py::test_families_and_vaults_are_denied_unless_listed
notices         unit/test_progress.py::test_a_host_that_does_not_want_to_know_is_not_told
keepalive       component/test_sessions.py::test_an_idle_link_has_a_heartbeat_and_a_busy_one_has_none
mount_delay     component/test_tapes_faults.py::test_a_mount_is_answered_after_its_least_delay
acknowledge     component/test_outbox.py::test_nobody_can_acknowledge_what_was_sent_to_another
table:
applications    unit/test_rules_load.py::test_a_sites_file_completes_the_shipped_application_whatever_the_order
rules           unit/test_rules_decide.py::test_the_first_rule_that_matches_decides
calendar        unit/test_rules_hours.py::test_named_days_that_are_over_never_come
cleanup         unit/test_cleanup.py::test_a_cleanup_says_when_and_what
application:
title           unit/test_rules_load.py::test_everything_of_a_work_can_be_said_in_the_table
status          unit/test_rules_check.py::test_what_nobody_has_verified_is_a_warning
source          unit/test_rules_load.py::test_everything_of_a_work_can_be_said_in_the_table
seats           unit/test_rules_load.py::test_a_sites_file_completes_the_shipped_application_whatever_the_order
programs        unit/test_rules_unused.py::test_a_name_that_no_argument_uses_is_an_error
places          unit/test_rules_unused.py::test_a_misspelt_place_over_a_shipped_one_is_an_error
defaults        unit/test_rules_decide.py::test_a_default_stands_for_a_keyword_that_is_not_given
query           unit/test_rules_load.py::test_a_query_is_the_verification_of_archives_only_and_none_takes_it_away
delete          unit/test_rules_unused.py::test_a_command_that_deletes_copies_is_refused_because_nothing_runs_it
read_back       unit/test_rules_evidence.py::test_what_reads_the_data_is_there_for_rules_that_copy
touches         unit/test_tapes_model.py::test_size_time_and_inode_tell_a_write_and_the_change_time_a_touch
archive         unit/test_rules_outputs.py::test_an_application_says_it_for_its_rules_and_for_their_calls
restore         unit/test_rules_load.py::test_everything_of_a_work_can_be_said_in_the_table
rule:
rule            unit/test_rules_load.py::test_everything_of_a_work_can_be_said_in_the_table
when            unit/test_rules_decide.py::test_a_condition_holds_or_fails
application     unit/test_rules_load.py::test_an_application_is_the_one_that_has_the_copy
run             unit/test_rules_commands.py::test_the_same_for_people
deny            unit/test_rules_commands.py::test_a_denial_gives_its_reason
then            unit/test_rules_load.py::test_the_engine_erases_and_deletes_on_its_own
lock            unit/test_rules_decide.py::test_a_lock_that_names_what_is_absent_is_the_path
proof           unit/test_rules_evidence.py::test_a_rule_says_what_proof_its_copies_need_and_how_often
read_back       unit/test_rules_evidence.py::test_what_reads_the_data_is_there_for_rules_that_copy
work:
prepare         component/test_engine_calls_told.py::test_a_preparation_that_failed_shows_why
input           unit/test_rules_input.py::test_no_lines_are_no_input_and_lines_end_each
env             integration/test_runner.py::test_the_exit_code_and_both_outputs_are_known
each            unit/test_rules_decide.py::test_one_job_does_a_pool
priority        ../vtspolicy/testing/queue_suite.py::test_every_history_agrees_with_the_naive_queue
timeout         acceptance/test_operating.py::test_an_attempt_all_attempts_and_silence_have_their_time
timeouts        acceptance/test_operating.py::test_an_attempt_all_attempts_and_silence_have_their_time
outcome         unit/test_rules_judge.py::test_an_exit_code_is_what_the_table_says
read            unit/test_rules_shipped.py::test_bacula_is_read_whatever_case_its_catalogue_gives_the_columns
progress        unit/test_progress.py::test_the_share_is_read_from_the_output_once_a_minute
expect          unit/test_rules_judge.py::test_a_success_without_the_expected_count_is_none
cause           unit/test_rules_outputs.py::test_the_line_that_shows_why_is_the_reason_and_not_the_statistics_after_it
verify          component/test_engine_calls_told.py::test_a_verification_that_failed_shows_why_beside_what_the_run_said
poll            unit/test_polling.py::test_a_job_is_polled_by_its_number_quickly_at_first_and_then_as_often_as_the_rule_says
cancel          unit/test_polling.py::test_a_cancelled_job_is_cancelled_in_the_application_at_once
cancel_input    unit/test_rules_commands.py::test_what_a_queued_application_is_told_is_shown_line_by_line
handle          unit/test_rules_shipped.py::test_networker_must_name_its_save_time
ready           component/test_engine_mounts_closed.py::test_a_mount_request_that_is_open_is_answered
retry           acceptance/test_operating.py::test_attempts_are_repeated_with_growing_delays_and_told
on_interrupt    component/test_engine_lost.py::test_no_preparation_of_a_run_that_may_have_been_made_gets_round_on_interrupt
between         unit/test_rules_cases.py::test_hours_are_tested_by_when_the_job_would_start
timeouts:
waiting         acceptance/test_operating.py::test_a_job_that_waits_too_long_ends_as_timed_out_and_is_never_started
total           acceptance/test_operating.py::test_an_attempt_all_attempts_and_silence_have_their_time
silence         acceptance/test_operating.py::test_an_attempt_all_attempts_and_silence_have_their_time
grace           integration/test_runner.py::test_a_run_that_takes_too_long_is_ended_with_all_its_processes
retry:
attempts        unit/test_rules_retry.py::test_there_are_no_more_attempts_than_the_rule_says
delay           unit/test_rules_retry.py::test_each_further_delay_is_so_many_times_longer
backoff         unit/test_rules_retry.py::test_each_further_delay_is_so_many_times_longer
on              unit/test_rules_retry.py::test_only_the_ends_that_are_named_are_repeated
proof:
need            unit/test_rules_evidence.py::test_a_rule_says_what_proof_its_copies_need_and_how_often
every           unit/test_rules_evidence.py::test_a_rule_says_what_proof_its_copies_need_and_how_often
poll:
run             unit/test_rules_input.py::test_all_that_a_queued_application_needs_can_be_said_in_the_table
outcome         unit/test_rules_judge.py::test_a_table_without_a_default_fails_what_it_does_not_list
read            unit/test_rules_shipped.py::test_bacula_is_read_whatever_case_its_catalogue_gives_the_columns
input           unit/test_rules_input.py::test_all_that_a_queued_application_needs_can_be_said_in_the_table
expect          unit/test_polling.py::test_a_success_without_what_is_expected_is_a_failure
absent          unit/test_rules_input.py::test_a_clear_no_is_distinguished_from_no_answer
timeout         unit/test_rules_input.py::test_all_that_a_queued_application_needs_can_be_said_in_the_table
prepare         component/test_engine_orphans.py::test_what_a_killed_server_asked_is_gone_before_it_is_asked_again
every           unit/test_polling.py::test_a_job_is_polled_by_its_number_quickly_at_first_and_then_as_often_as_the_rule_says
running         unit/test_rules_shipped.py::test_states_of_bacula_that_differ_in_case_stay_apart
completed       unit/test_rules_shipped.py::test_bacula_is_read_whatever_case_its_catalogue_gives_the_columns
warning         unit/test_polling.py::test_a_success_without_what_is_expected_is_a_failure
find            component/test_engine_queued.py::test_a_submission_that_was_cancelled_and_was_taken_is_cancelled_there
patience        unit/test_polling.py::test_polls_without_an_answer_are_borne_only_as_long_as_the_rule_says
reading:
pattern         unit/test_rules_shipped.py::test_bacula_is_read_whatever_case_its_catalogue_gives_the_columns
field           unit/test_rules_shipped.py::test_restic_is_believed_only_when_it_read_the_whole_tape
scale           unit/test_rules_judge.py::test_a_share_becomes_a_percentage
expectation:
equals          unit/test_rules_judge.py::test_a_success_without_the_expected_count_is_none
at_least        unit/test_rules_shipped.py::test_an_empty_borg_archive_that_bears_our_name_is_no_copy
outcome         unit/test_rules_judge.py::test_an_expectation_that_says_nothing_makes_no_clear_no
cause:
field           unit/test_rules_outputs.py::test_a_field_of_json_is_reported_with_its_escapes_undone
cleanup:
hour            component/test_tapes_engine.py::test_a_cleanup_runs_once_a_day_also_after_a_restart
threshold       unit/test_cleanup.py::test_a_full_vault_is_emptied_from_its_oldest_tapes_on_and_only_until_it_is_not_full
minimum         unit/test_cleanup.py::test_a_full_vault_is_emptied_from_its_oldest_tapes_on_and_only_until_it_is_not_full
retention       unit/test_cleanup.py::test_a_site_can_give_the_retention_that_commands_left_out
rest            unit/test_cleanup.py::test_a_tape_stays_and_the_verdict_says_why
dry_run         component/test_tapes_engine.py::test_a_dry_run_only_tells
when:
between         unit/test_rules_commands.py::test_the_same_for_people
tape:
application     unit/test_rules_commands.py::test_what_the_ledger_knows_of_a_tapes_copy_counts
"""  # noqa: E501  one line for each key

TABLES = {
    "configuration": SECTIONS[""],
    **{name: section for name, section in SECTIONS.items() if name},
    "table": keys.TOP,
    "application": {name: key for name, key in keys.APPLICATION.items() if name not in keys.WORK},
    "rule": {name: key for name, key in keys.RULE.items() if name not in keys.WORK},
    "work": keys.WORK,
    "timeouts": keys.TIMEOUTS,
    "retry": keys.RETRY,
    "proof": forms.PROOF,
    "poll": query_keys.POLL,
    "reading": forms.READING,
    "expectation": forms.EXPECTATION,
    "cause": forms.CAUSE,
    "cleanup": cleanup.CLEANUP,
    "when": {"between": conditions.WHEN["between"]},
    "tape": {"application": conditions.TAPE["application"]},
}
"""Every table of keys; those of queries and read_back are among those of poll."""


def effects():
    found, table = {}, ""
    for line in EFFECTS.strip().splitlines():
        if line.endswith(":"):
            table = line[:-1]
        else:
            key, test = line.split()
            found.setdefault(table, {})[key] = test
    return found


@pytest.mark.parametrize("table", TABLES)
def test_each_key_names_the_test_that_shows_its_effect(table):
    assert effects()[table].keys() == TABLES[table].keys()


ALONE = {*conditions.WHEN, *conditions.TAPE} - {"between", "application"}
"""The conditions that hold or fail by the command and the tape alone."""


@pytest.mark.parametrize("key", sorted(ALONE))
def test_each_condition_is_shown_to_hold_and_to_fail(key):
    """The key stands alone in a row of `CONDITION_ROWS`, so that it alone decides."""
    alone = re.compile(rf"\{{(tape: \{{)?{key}: [^{{}}]*(\{{[^{{}}]*\}})?\}}+")
    assert {matches for when, matches in CONDITION_ROWS if alone.fullmatch(when)} == {True, False}


NAMED = sorted({test for tests in effects().values() for test in tests.values()})


@pytest.mark.parametrize("test", NAMED)
def test_the_test_of_a_key_is_there(test):
    file, _, name = test.partition("::")
    assert re.search(rf"\bdef {name}\(", (TESTS / file).read_text())
