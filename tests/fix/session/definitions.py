"""QuickFIX's acceptance definitions for FIX 4.4, and the scripts that play their conditions.

The definitions are ``test/definitions/server/fix44/*.def`` in QuickFIX's sources. They drive its
acceptor with an application that echoes orders; a script here has a venue's answer instead. The
names are QuickFIX's, without ``.def``.
"""

from __future__ import annotations

from typing import Final

DEFINITIONS: Final[dict[str, tuple[str, ...]]] = {
    "10_MsgSeqNumEqual": ("10_b_gapfill_number_as_expected",),
    "10_MsgSeqNumGreater": ("10_a_gapfill_number_too_high",),
    "10_MsgSeqNumLess": ("10_c_gapfill_possdup_number_too_low", "10_d_gapfill_number_too_low"),
    "11a_NewSeqNoGreater": ("11_a_reset_newseqno_higher",),
    "11b_NewSeqNoEqual": ("11_b_reset_newseqno_equal",),
    "11c_NewSeqNoLess": ("11_c_reset_newseqno_lower",),
    "13b_UnsolicitedLogoutMessage": ("13_b_logout_unsolicited",),
    "14a_BadField": ("14_a_tag_not_defined",),
    "14b_RequiredFieldMissing": ("14_b_required_tag_missing",),
    "14c_TagNotDefinedForMsgType": ("14_c_tag_not_for_this_type",),
    "14d_TagSpecifiedWithoutValue": ("14_d_tag_without_value",),
    "14e_IncorrectEnumValue": ("14_e_value_out_of_range",),
    "14f_IncorrectDataFormat": ("14_f_incorrect_data_format",),
    "14g_HeaderBodyTrailerFieldsOutOfOrder": ("14_g_header_field_in_the_body",),
    "14h_RepeatedTag": ("14_h_tag_twice",),
    "14i_RepeatingGroupCountNotEqual": ("14_i_group_count_wrong",),
    "15_HeaderAndBodyFieldsOrderedDifferently": ("15_fields_in_another_order",),
    "19a_PossResendMessageThatHAsAlreadyBeenSent": ("19_a_possresend_already_seen",),
    "19b_PossResendMessageThatHasNotBeenSent": ("19_b_possresend_not_seen",),
    "1a_ValidLogonMsgSeqNumTooHigh": ("01S_a_valid_logon_number_too_high",),
    "1a_ValidLogonWithCorrectMsgSeqNum": ("01S_a_valid_logon",),
    "1b_DuplicateIdentity": ("01S_b_duplicate_identity",),
    "1c_InvalidSenderCompID": ("01S_c_unknown_sendercompid",),
    "1c_InvalidTargetCompID": ("01S_c_wrong_targetcompid",),
    "1d_InvalidLogonBadSendingTime": ("01S_d_sendingtime_out_of_range",),
    "1d_InvalidLogonLengthInvalid": ("01S_d_bodylength_wrong",),
    "1d_InvalidLogonWrongBeginString": ("01S_d_beginstring_wrong",),
    "1e_NotLogonMessage": ("02S_first_message_is_no_logon",),
    "20_SimultaneousResendRequest": (
        "20_simultaneous_resendrequest", "20_resendrequest_behind_a_gap",
    ),
    "21_RepeatingGroupSpecifierWithValueOfZero": ("21_group_with_count_zero",),
    "2a_MsgSeqNumCorrect": ("02_a_number_as_expected",),
    "2b_MsgSeqNumTooHigh": ("02_b_number_too_high",),
    "2c_MsgSeqNumTooLow": ("02_c_number_too_low",),
    "2d_GarbledMessage": ("02_d_garbled_message", "02_d_garbled_begin"),
    "2e_PossDupAlreadyReceived": ("02_e_possdup_already_received",),
    "2e_PossDupNotReceived": ("02_e_possdup_not_received",),
    "2f_PossDupOrigSendingTimeTooHigh": (
        "02_f_possdup_origsendingtime_too_late", "02_f_number_as_expected",
    ),
    "2g_PossDupNoOrigSendingTime": (
        "02_g_possdup_without_origsendingtime", "02_g_number_as_expected",
    ),
    "2i_BeginStringValueUnexpected": ("02_i_beginstring_unexpected",),
    "2k_CompIDDoesNotMatchProfile": (
        "02_k_sendercompid_unexpected", "02_k_targetcompid_unexpected",
    ),
    "2m_BodyLengthValueNotCorrect": ("02_m_bodylength_too_short", "02_m_bodylength_too_long"),
    "2o_SendingTimeValueOutOfRange": (
        "02_o_sendingtime_too_old", "02_o_sendingtime_in_the_future",
    ),
    "2q_MsgTypeNotValid": ("02_q_msgtype_not_valid",),
    "2r_UnregisteredMsgType": ("02_r_msgtype_not_supported",),
    "2t_FirstThreeFieldsOutOfOrder": ("02_t_first_three_fields_out_of_order",),
    "3b_InvalidChecksum": ("03_b_checksum_invalid",),
    "3c_GarbledMessage": ("02_d_garbled_message",),
    "4a_NoDataSentDuringHeartBtInt": ("04_a_no_data_sent",),
    "4b_ReceivedTestRequest": ("04_b_testrequest_received",),
    "6_SendTestRequest": ("06_no_data_received",),
    "7_ReceiveRejectMessage": ("07_reject_received",),
    "8_AdminAndApplicationMessages": ("08_resendrequest_mixed",),
    "8_OnlyAdminMessages": ("08_resendrequest_admin_only",),
    "8_OnlyApplicationMessages": ("08_resendrequest_application_only",),
    "AlreadyLoggedOn": ("01S_b_duplicate_identity",),
    "RejectResentMessage": ("14_f_in_a_resent_message",),
    "ReverseRoute": ("18_b_third_party_addressing",),
    "ReverseRouteWithEmptyRoutingTags": ("18_b_routing_fields_without_a_value",),
    "SessionReset": ("01S_a_numbers_begin_again_within_a_session",),
}  # fmt: skip
"""Each definition and its scripts."""

DIFFERENT: Final[dict[str, str]] = {
    "ReverseRoute": (
        "The gateway does not offer routing through third parties: their fields are rejected"
    ),
}
"""What the definition asks for and the venue does not do, with the reason."""


def table() -> str:
    """Return the table of definitions for spec/CONFORMITY.md."""
    lines = [
        f"The {len(DEFINITIONS)} acceptance definitions for FIX 4.4 in QuickFIX's sources "
        "(`test/definitions/server/fix44`):",
        "",
        "| Definition | Scripts | Remarks |",
        "|---|---|---|",
    ]
    for name, scripts in sorted(DEFINITIONS.items(), key=lambda item: item[0].lower()):
        links = ", ".join(f"[{each}](../tests/fix/session/scripts/{each}.txt)" for each in scripts)
        lines.append(f"| {name} | {links} | {DIFFERENT.get(name, '')} |")
    return "\n".join(lines) + "\n"
