//! Deliberately broken transports: the proof that the suite sees what it says it sees.
//!
//! [`Sabotaged`] wraps the harness of a sound transport and breaks it in one way, a [`Sabotage`]. Run the suite on it with
//! [`survey`](crate::survey), and the case that [`Sabotage::caught_by`] names must fail.

mod lane;
mod positions;
mod read;
mod sink;
mod source;

pub use lane::{Sabotaged, SabotagedLane};
pub use sink::SabotagedSink;
pub use source::SabotagedSource;

macro_rules! sabotages {
    ($($name:ident $meaning:literal caught by $case:ident;)*) => {
        /// One way to break a transport.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Sabotage {
            $(#[doc = $meaning] $name,)*
        }

        impl Sabotage {
            /// Every sabotage.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What it does.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }

            /// The name of the case that must fail. Others may fail, too.
            #[must_use]
            pub const fn caught_by(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($case),)*
                }
            }
        }
    };
}

sabotages! {
    // Sinks.
    AcknowledgesBeforeDurable "`send` returns before the event is in the log, and a sink that dies forgets it"
        caught by what_send_acknowledged_outlives_the_sink;
    AppearsLate "`send` returns before the event is in the log; closing and dropping the sink bring it there"
        caught by what_send_acknowledged_is_in_the_log_at_once;
    ForgetsOnClose "closing a sink loses the newest event"
        caught by closing_a_sink_keeps_what_was_acknowledged;
    AcknowledgesWithoutABroker "`send` succeeds while the broker is gone"
        caught by a_send_during_a_cut_is_not_acknowledged_and_tells_the_truth;
    ReordersSends "of two events, the second one is appended first"
        caught by sends_of_one_sink_keep_their_order;
    MixesSinks "two sinks send each other's events late"
        caught by sinks_side_by_side_each_keep_their_order;
    BreaksOnACancelledSend "after a send that was dropped, the sink fails"
        caught by a_dropped_send_leaves_the_sink_usable_and_the_order_intact;
    LiesAboutNotSent "an error says NotSent, and the event is in the log all the same"
        caught by a_send_during_a_cut_is_not_acknowledged_and_tells_the_truth;
    TakesUnknownForNotSent "an error whose outcome is unknown says NotSent"
        caught by a_send_whose_answer_is_lost_is_not_acknowledged_and_tells_the_truth;
    SwallowsOversize "an event that is too large is dropped, and `send` succeeds"
        caught by an_event_that_is_too_large_is_refused_and_not_sent;
    RefusesTooMuch "events of a quarter of the limit are refused"
        caught by an_event_of_half_the_limit_fits;
    AsksTheBrokerAboutSize "an event that is too large is only refused once the broker answers"
        caught by an_event_that_is_too_large_is_refused_without_a_broker;
    TruncatesPayloads "a payload ends at its first zero byte"
        caught by every_byte_of_a_payload_comes_back;
    LosesEmptyPayloads "an empty payload becomes none"
        caught by an_empty_payload_comes_back_empty;
    LosesHeaders "headers do not come back"
        caught by headers_come_back_in_order_with_duplicates_and_empty_values;
    MergesHeaders "of headers with one name, the last one comes back"
        caught by headers_come_back_in_order_with_duplicates_and_empty_values;
    HeadersAreText "header values go through text"
        caught by headers_come_back_with_any_bytes;
    RenewsIds "an event that is sent again gets a new id"
        caught by the_same_event_sent_twice_is_in_the_log_with_one_id;
    BringsUnknownLate "a send that failed with an unknown outcome is repeated behind the next one"
        caught by a_send_whose_answer_was_lost_comes_before_later_ones_or_not_at_all;
    NeverHeals "after a send that failed, every send fails"
        caught by after_a_send_that_failed_in_a_cut_the_next_one_succeeds_as_a_new_sinks_would;
    FailsOnceMore "after an outage, one more send fails than that of a new sink"
        caught by after_a_send_to_a_dead_broker_the_next_one_succeeds_as_a_new_sinks_would;
    SinkKeepsOldCredentials "a sink logs in as it did when it was opened"
        caught by a_sink_goes_on_with_renewed_credentials;
    // Order and replay.
    ReordersReads "a record is overtaken by the next few when it is read"
        caught by one_applications_events_come_in_order_among_those_of_others;
    RepeatsWithinASession "a record comes twice after a commit"
        caught by nothing_comes_twice_within_a_session;
    NewBeforeOldAfterRestart "what was delivered before comes after what was not"
        caught by uncommitted_events_come_before_newer_ones_and_at_once;
    RedeliversLate "what was delivered before comes again after a long while"
        caught by uncommitted_events_come_before_newer_ones_and_at_once;
    ForgetsOnCancel "a `next` that is dropped loses its record"
        caught by cancelling_next_a_thousand_times_loses_and_repeats_nothing;
    ForgetsBacklogOnCancel "a `next` that is dropped loses its record, while there is a backlog"
        caught by cancelling_next_while_a_backlog_is_read_loses_and_repeats_nothing;
    ForgetsInHandOnASlowBroker "while the broker is slow, a `next` that is dropped loses its record"
        caught by cancelling_next_on_a_slow_broker_loses_and_repeats_nothing;
    NewerOthersFirst "newer records of others come before the backlog"
        caught by within_a_partition_everything_comes_in_the_logs_order;
    // Places.
    MixesPartitions "records of one partition are counted for another"
        caught by remaining_counts_each_partition_for_itself;
    PositionsStartAnew "positions are counted from the beginning of the session"
        caught by a_records_position_is_its_own_and_the_same_in_every_session;
    RepeatsPositions "two records share a position"
        caught by a_records_position_is_its_own_and_the_same_in_every_session;
    // What others write.
    LeavesOutOurOwn "events of the own application are left out, too"
        caught by what_others_write_is_left_out_at_most_and_our_own_comes_in_order;
    LeavesOutUncounted "of two records of others, one is left out without being counted"
        caught by what_others_write_is_left_out_at_most_and_our_own_comes_in_order;
    ForgetsOthersOnCancel "a `next` that is dropped loses what it has left out so far"
        caught by cancelling_next_while_others_are_left_out_loses_and_repeats_nothing;
    LeavesOutBeyondOurOwn "what others wrote behind one of our own is left out before that comes"
        caught by a_commit_covers_what_was_left_out_and_nothing_behind_it;
    CountsNoOthers "once it may leave out what others write, one record too few remains"
        caught by what_remains_is_never_too_few_while_others_are_left_out;
    CountsOthersAgainAfterAnError "after an error, records of others are counted once more"
        caught by after_an_outage_others_are_still_counted_once;
    // Positions.
    CommitsOnFetch "what is read is committed"
        caught by dropping_a_session_commits_nothing_and_is_prompt;
    CommitsOnDrop "dropping commits"
        caught by dropping_a_session_commits_nothing_and_is_prompt;
    CommitsOnClose "closing commits"
        caught by closing_a_session_commits_nothing_and_is_prompt;
    CommitsOneShort "a commit leaves out the newest record"
        caught by a_session_starts_right_after_the_last_commit;
    CommitsOneTooFar "a commit covers one record that was not read"
        caught by restarting_after_every_event_loses_and_repeats_nothing;
    CommitsWhatWasPrefetched "a commit covers what was prefetched"
        caught by commit_does_not_cover_what_was_only_prefetched;
    CommitsWhatWasCancelled "a commit covers what a dropped `next` had in hand"
        caught by commit_does_not_cover_what_a_cancelled_next_did_not_return;
    CommitsOneByOne "each commit moves the position by one record"
        caught by commit_is_cumulative;
    MovesOnWhenRepeated "a commit that is repeated moves the position on"
        caught by commit_may_be_repeated;
    ConfirmsTooEarly "a commit takes effect at the next call"
        caught by a_commit_that_returned_ok_holds_when_the_session_dies_at_once;
    CommitsToTheEnd "a commit before the first record covers everything"
        caught by a_commit_before_the_first_event_moves_nothing;
    ResetsBeforeCommitting "a commit that is dropped half-way loses the position"
        caught by a_cancelled_commit_leaves_one_of_both_positions_and_a_later_one_repairs_it;
    ConfirmsWithoutABroker "a commit succeeds while the broker is gone"
        caught by a_commit_during_a_cut_is_not_confirmed_and_a_later_one_repairs_it;
    MovesThePositionBack "the last commit wins"
        caught by a_slower_replica_does_not_move_the_position_back;
    AlwaysResumed "every session says that it resumed"
        caught by resumed_says_whether_an_earlier_session_committed;
    NeverResumed "no session says that it resumed"
        caught by resumed_says_whether_an_earlier_session_committed;
    // Sessions and groups.
    BlocksWithoutABroker "dropping blocks while the broker is gone"
        caught by drop_and_close_are_prompt_during_a_cut;
    BlocksAfterWaiting "dropping blocks after a `next` that was dropped"
        caught by a_session_that_waits_can_be_dropped_promptly;
    OpensLazily "the start is found at the first `next`"
        caught by what_is_sent_after_opening_is_seen_by_this_session_and_the_next;
    IgnoresLatest "every new group begins at the earliest record"
        caught by a_group_at_latest_sees_what_is_sent_after_opening_and_nothing_older;
    StartNotFixed "a start at latest holds for one session only"
        caught by a_group_at_latest_keeps_its_start_for_its_next_session;
    MixesGroups "there is one position for all groups"
        caught by commits_of_one_group_move_no_other;
    SharesWork "of the readers of a group, each gets a part"
        caught by two_live_readers_of_one_group_both_see_everything;
    TakesFromReplicas "what a replica has read does not come to those who read later"
        caught by a_replica_that_dies_takes_nothing_from_the_other;
    CountsTooFew "one record too few remains"
        caught by remaining_is_never_too_few_and_comes_down_to_zero;
    NeverCountsToZero "one record too many remains, for ever"
        caught by remaining_is_never_too_few_and_comes_down_to_zero;
    CountingTakesARecord "a `remaining` that is dropped loses a record"
        caught by cancelling_remaining_moves_nothing;
    CountsTooFewAfterAnOutage "after an outage, one record too few remains"
        caught by remaining_is_never_too_few_after_an_outage;
    CountsTooFewAfterALoss "after a loss, one record too few remains"
        caught by remaining_is_never_too_few_after_a_loss;
    // Applications.
    ForgetsTheApplication "a group takes any application"
        caught by a_group_is_refused_to_a_second_application;
    RefusesItsOwnApplication "a group that has an application refuses it, too"
        caught by replicas_and_later_sessions_of_one_application_share_a_group;
    CommitsWithoutTheApplication "a commit forgets to which application the group belongs"
        caught by a_group_is_refused_to_a_second_application;
    // Observers.
    ObserversCommit "observers share a position"
        caught by what_an_observer_commits_moves_nothing;
    ObserversIgnoreLatest "observers begin at the earliest record"
        caught by an_observer_begins_where_it_is_told_and_sees_everything;
    ObserversClaim "an observer belongs to the first application that asks"
        caught by an_observer_belongs_to_no_application;
    FallsAsleep "a source that waits for long hears nothing any more"
        caught by an_event_after_a_long_idle_comes;
    NeverEnds "a source of a log that ended waits for ever"
        caught by a_source_ends_only_when_the_log_does;
    StallsAtAThousand "after a thousand uncommitted records nothing comes"
        caught by twelve_hundred_uncommitted_events_stall_nothing;
    SkipsForeignRecords "records without an id do not come"
        caught by foreign_records_come_as_records_and_stop_nothing;
    ChokesOnTombstones "a record without a value is a permanent error"
        caught by a_record_without_a_value_comes_as_one_and_stops_nothing;
    // Lost logs.
    HidesLoss "a trimmed log goes unmentioned between sessions"
        caught by a_log_trimmed_between_sessions_says_so_once_and_begins_at_the_earliest;
    HidesLossWhileLive "a trimmed log goes unmentioned"
        caught by a_log_trimmed_under_a_live_session_says_so_once_unless_it_lost_nothing;
    RepeatsLoss "a lost position is reported twice"
        caught by a_log_trimmed_between_sessions_says_so_once_and_begins_at_the_earliest;
    StaysResumedAfterLoss "a session whose position was lost says that it resumed"
        caught by a_recreated_log_that_is_shorter_than_the_position_says_so_once;
    HidesRecreation "a log that was recreated goes unmentioned"
        caught by a_recreated_log_that_is_longer_than_the_position_says_so_once;
    HidesRecreationWhileLive "a log that was recreated goes unmentioned in a live session"
        caught by a_log_recreated_under_a_live_session_says_so_once;
    GoesOnInARecreatedLog "a live session goes on at its old place in a log that was recreated"
        caught by a_log_recreated_under_a_live_session_and_longer_than_its_place_says_so_once;
    CommitsIntoARecreatedLog "a commit moves the position of a log that was recreated meanwhile"
        caught by a_commit_after_a_recreation_moves_nothing_in_the_new_log;
    LosesInCommit "a commit of what was trimmed is an error of kind Lost"
        caught by commit_and_remaining_never_say_that_a_log_was_trimmed;
    LosesInRemaining "counting in a log that was recreated is an error of kind Lost"
        caught by commit_and_remaining_never_say_that_a_log_was_recreated;
    HidesTruncation "a log that lost its end goes unmentioned between sessions"
        caught by a_log_that_lost_its_end_between_sessions_and_grew_past_the_position_says_so_once;
    HidesTruncationWhileLive "a live session goes on at its old place in a log that lost its end"
        caught by a_log_that_loses_its_end_under_a_live_session_and_grows_past_its_place_says_so_once;
    CriesLost "a trim that took nothing unread is reported as a loss"
        caught by a_trim_of_nothing_but_committed_records_goes_unnoticed;
    // Outages.
    EndsSilently "an outage ends the source as if the log had ended"
        caught by after_a_cut_next_goes_on_and_loses_nothing;
    GivesUpSilently "after an outage nothing comes any more"
        caught by after_the_brokers_death_next_goes_on_and_loses_nothing;
    HidesOutages "`next`, `commit` and `remaining` wait as long as the broker is gone"
        caught by an_outage_shows_in_health_and_passes;
    EndsWhenTheBrokerStops "a broker that is asked to end ends the session"
        caught by a_secondary_lives_on_when_the_broker_is_stopped_and_started_again;
    DeafAfterAPartialCut "once one leader does not answer, nothing comes any more, and nothing is said"
        caught by a_quiet_source_that_one_leader_does_not_answer_says_so_within_the_contact_time;
    HealthyWhileDeaf "`next` waits without a word as long as nothing can come"
        caught by a_secondary_that_one_leader_does_not_answer_shows_it_within_the_contact_time;
    SaysItOnce "`next` says once that it is out of contact, and then waits"
        caught by a_quiet_source_in_a_black_hole_says_so_within_the_contact_time;
    TakesQuietForSilence "`next` says that it is out of contact when nothing has come for a while"
        caught by a_source_that_is_idle_and_in_contact_says_nothing;
    WaitsInCommit "`commit` does not answer while the broker is gone"
        caught by commit_and_remaining_answer_in_a_black_hole;
    WaitsInRemaining "`remaining` does not answer while the broker is gone"
        caught by commit_and_remaining_answer_while_answers_are_lost;
    EndsWhenDenied "a permission that is withdrawn ends the session"
        caught by a_secondary_that_is_denied_for_a_while_shows_why_and_lives_on;
    NamesNoCause "an error that passes has no cause"
        caught by what_is_denied_for_a_while_is_unavailable_because_of_that_and_passes;
    EndsWhenTheLogIsAway "a log that is away for a while ends the session"
        caught by a_session_whose_log_is_away_for_a_while_goes_on_in_the_new_one;
    KeepsOldCredentials "a source logs in as it did when it was opened"
        caught by a_source_goes_on_with_renewed_credentials;
    SkipsAfterAnError "after an error, one record is skipped"
        caught by cuts_under_load_lose_nothing_and_keep_the_order;
    RepeatsAfterAnError "after an error, a record comes again"
        caught by restarts_of_the_broker_under_load_lose_nothing_and_keep_the_order;
    ForgetsOnRestart "a broker that dies loses its log"
        caught by what_was_acknowledged_and_committed_survives_the_brokers_death;
}
