"""Session-level messages where FIX asks more than QuickFIX does. For QuickFIX's callbacks.

What is wrong is said by QuickFIX's own exceptions, which it answers with Reject(3).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from fix_gateway.codec.message import SOH, FixMessage, parse_time
from fix_gateway.quickfix_import import quickfix

REQUIRED_MISSING: Final = 1
SENDING_TIME: Final = 10
OTHER: Final = 99
"""Values of SessionRejectReason(373)."""


class Admitted(Protocol):
    """What these functions ask of a session, and note on it."""

    qf: Any
    says_reset: bool
    confirms_reset: bool
    expects_next: bool
    logon_num: int
    ask_up_to: int


def complete_logon(session: Admitted, message: quickfix.Message) -> None:
    """Put into the answer to a Logon what the door knows and QuickFIX does not.

    FIX 4.4, volume 2, Logon: ResetSeqNumFlag(141), and NextExpectedMsgSeqNum(789), which counts
    the Logon that is answered.
    """
    if session.says_reset and message.getHeader().getField(34) == "1":
        message.setField(quickfix.StringField(141, "Y"))
    if session.expects_next and session.qf is not None:
        expected = session.qf.getExpectedTargetNum()
        if session.logon_num <= expected:
            expected += 1  # The Logon itself is counted when it is answered.
        message.setField(quickfix.StringField(789, str(expected)))


def confirms(session: Admitted, message: quickfix.Message) -> bool:
    """Return True if the Logon that is rejected here only confirms our ResetSeqNumFlag=Y.

    Some engines, QuickFIX among them, answer it with a Logon of their own under number 1, which
    is the number of the Logon that we have. The Reject becomes a Heartbeat then.
    """
    confirming = session.confirms_reset and message.isSetField(45) and message.getField(45) == "1"
    session.confirms_reset = False
    if not confirming:
        return False
    for tag in (45, 58, 371, 372, 373):
        message.removeField(tag)
    message.getHeader().setField(quickfix.StringField(35, "0"))
    return True


def reject_logon(message: quickfix.Message, text: str) -> None:
    """Let the Reject of a Logon say why, not which of QuickFIX's fields is missing."""
    message.removeField(371)
    message.setField(quickfix.StringField(373, str(OTHER)))
    message.setField(quickfix.StringField(58, text))


def check_repeat(header: quickfix.Header) -> None:
    """Check that a message with PossDupFlag=Y says when it was first sent.

    FIX 4.4, volume 2, Possible Duplicates. Raises FieldNotFound, which QuickFIX rejects.
    """
    if header.isSetField(43) and header.getField(43) == "Y" and not header.isSetField(122):
        raise quickfix.FieldNotFound(122)


def fault_of_repeat(message: FixMessage) -> tuple[int, str] | None:
    """Find what is wrong with OrigSendingTime of a message with PossDupFlag=Y, None if nothing.

    Returns SessionRejectReason(373) and Text(58). Raises ValueError where a time is none.
    """
    first_sent = message.get("122")
    if not first_sent:
        return REQUIRED_MISSING, "OrigSendingTime(122) is missing with PossDupFlag(43)=Y"
    if parse_time(first_sent) > parse_time(message.get("52")):
        return SENDING_TIME, "OrigSendingTime(122) is later than SendingTime(52)"
    return None


def check_resend(session: Admitted, message: quickfix.Message) -> None:
    """Check that a ResendRequest asks for numbers that there are. Raises IncorrectTagValue.

    Notes a gap in front of it, which QuickFIX does not ask for.
    """
    if session.qf is None:
        return
    begin, end = int(message.getField(7)), int(message.getField(16))
    if not 1 <= begin < session.qf.getExpectedSenderNum():
        raise quickfix.IncorrectTagValue(7)
    if end and end < begin:
        raise quickfix.IncorrectTagValue(16)
    num = int(message.getHeader().getField(34))
    session.ask_up_to = num if num > session.qf.getExpectedTargetNum() else 0


def tag_not_ascii(text: str) -> int:
    """Return the first tag of a message whose value is not ASCII, 0 where it is no tag.

    FIX 4.4, volume 1: other text goes into the encoded fields.
    """
    for field in text.split(SOH):
        if not field.isascii():
            tag = field.partition("=")[0]
            return int(tag) if tag.isascii() and tag.isdigit() else 0
    return 0
