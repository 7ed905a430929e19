"""The referee of a client's FIX sessions: determines the case that each message belongs to.

A case is begun by its opening order, whose ClOrdID begins with the case id (``A07-…``) or whose
quantity is the case's. Every later message of the client belongs to that case until its verdict,
which is given at once; sending the opening order again begins a new attempt.
"""

from __future__ import annotations

from certification.fix.attempt import Attempt, HeldMessage, hold
from certification.fix.proxy import SessionProxy
from certification.fix.verbs import VERBS
from certification.fix.wire import ADMIN, Message
from certification.judge import BaseReferee, Judge, case_id
from certification.report.results import CaseResult, Transcript
from certification.scenarios.scenario import Scenario


class Referee(BaseReferee[Attempt]):
    """Observes the sessions of one client. With ``news`` verdicts are also sent as News(B)."""

    def __init__(self, judge: Judge, *, news: bool = True) -> None:
        super().__init__(judge)
        self.sessions: dict[str, SessionProxy] = {}
        self._news = news
        self._outside = Transcript()

    # Messages.

    async def from_client(self, session: SessionProxy, message: Message) -> bool:
        """Take a message of the client; return False to drop it."""
        attempt = self.current
        held = hold(message)
        by_id, by_quantity = self._meant(session, message)
        other = by_id if by_id is not None and attempt and by_id is not attempt.scenario else None
        if attempt is None or other is not None:
            begun = by_id or by_quantity
            if begun is not None:
                attempt = await self._begin(begun, session, held)
                return await held.passes if message.type not in ADMIN else True
        if attempt is None:
            self._outside.message(self._way(session, ">"), message)
            return True
        attempt.transcript.message(self._way(session, ">"), message)
        self._check_number(attempt, session, message)
        attempt.take_client(session.kind, held)
        if attempt.over:
            held.release()
        return await held.passes

    def from_venue(self, session: SessionProxy, message: Message, ours: str) -> None:
        """Take a message that was sent to the client; an injected one is only recorded."""
        if message.type == "8" and message.get(37) != "NONE":
            self.judge.note_order(message.get(37))
        attempt = self.current
        if attempt is None:
            self._outside.message(self._way(session, "<"), message, ours)
            return
        attempt.transcript.message(self._way(session, "<"), message, ours)
        if not ours:
            attempt.take_venue(session.kind, message)

    def note(self, session: SessionProxy, way: str, message: Message | None, text: str) -> None:
        """Record an event of a message or of the connection."""
        transcript = self.current.transcript if self.current is not None else self._outside
        if message is None:
            transcript.text(self._way(session, way) if way != "!" else way, text)
        else:
            transcript.message(self._way(session, way), message, text)

    def disconnected(self, session: SessionProxy, on_purpose: bool) -> None:
        """Record the end of the client's connection; a case that does not expect it fails."""
        self.note(session, "!", None, f"the connection of {session.comp_id} has ended")
        if self.current is not None and session.kind == self.current.home and not on_purpose:
            self.current.disconnected()

    def _way(self, session: SessionProxy, way: str) -> str:
        return way if session.kind == "main" else f"{session.kind}:{way}"

    def _check_number(self, attempt: Attempt, session: SessionProxy, message: Message) -> None:
        """Fail any case on a MsgSeqNum that was used before, without PossDupFlag(43)=Y."""
        reset = message.type == "A" and message.get(141) == "Y"
        if message.num <= session.highest and not message.possdup and not reset:
            attempt.violate(
                f"MsgSeqNum(34) {message.num} came again without PossDupFlag(43)=Y: what is "
                "sent again has 43=Y and OrigSendingTime(122)."
            )

    # Cases.

    def _meant(
        self, session: SessionProxy, message: Message
    ) -> tuple[Scenario | None, Scenario | None]:
        """Return the cases that a message begins, by its ClOrdID and by its quantity."""
        if session.kind == "market_data":
            name = case_id(message.get({"V": 262, "e": 324}.get(message.type, 0)))
            scenario = self.judge.scenarios.get(name)
            known = scenario is not None and scenario.begins == "market_data"
            return (scenario if known else None), None
        if session.kind != "main" or message.possdup:
            return None, None
        if message.type == "A":
            first = next((s for s in self.judge.scenarios.values() if s.begins == "logon"), None)
            done = first is None or self.judge.verdict(first.id) == "passed" or self.current
            return (None, None) if done else (None, first)
        begins = {"D": "order", "E": "list"}.get(message.type)
        if begins is None:
            return None, None
        name = case_id(message.get(11))
        if name:
            scenario = self.judge.scenarios.get(name)
            return (scenario if scenario and scenario.begins == begins else None), None
        return None, self.judge.with_quantity(message.get(38), begins)

    # An attempt.

    async def _begin(
        self, scenario: Scenario, session: SessionProxy, held: HeldMessage
    ) -> Attempt:
        """Begin an attempt; one that is under way fails."""
        await self.interrupt(scenario.id)
        attempt = Attempt(
            scenario, self.judge, self.sessions, self.judge.parameters,
            self.judge.attempts(scenario.id) + 1, VERBS,
        )  # fmt: skip
        attempt.transcript.message(self._way(session, ">"), held.message)
        self._check_number(attempt, session, held.message)
        attempt.take_client(session.kind, held)
        self.start(attempt)
        return attempt

    async def play(self, attempt: Attempt) -> None:
        """Judge an attempt; the message that failed it may begin the next one."""
        await self.judge.judge(attempt, self._ended)
        following = self._following(attempt)
        attempt.release_all()
        if following is not None and attempt.offending is not None:
            await self._begin(following, self.sessions["main"], attempt.offending)
        elif attempt.offending is not None:
            attempt.offending.release()

    def _ended(self) -> None:
        """Undo the effects of the attempt on the sessions."""
        self.current = None
        for session in self.sessions.values():
            session.speak()
            session.drops.clear()
            session.refusals = 0

    def _following(self, attempt: Attempt) -> Scenario | None:
        """Return the case that the offending message begins by its quantity, None if none."""
        held = attempt.offending
        if held is None or held.message.type not in ("D", "E") or held.passes.done():
            return None
        _, meant = self._meant(self.sessions["main"], held.message)
        return meant if meant is not attempt.scenario else None

    def announce(self, result: CaseResult) -> None:
        """Send the verdict as News(B) to a client that is logged on."""
        scenario = self.judge.scenarios[result.id]
        main = self.sessions.get("market_data" if scenario.begins == "market_data" else "main")
        if not self._news or main is None or not main.live:
            return
        rows = [f"{result.id} {result.title}: {result.verdict}"]
        if result.verdict != "passed":
            again = "request" if scenario.begins == "market_data" else "order"
            rows += [result.reason, scenario.told,
                     f"Send the opening {again} again to try once more."]  # fmt: skip
        texts = [(58, _ascii(row)) for row in rows]
        headline = f"{result.id} {result.verdict}"
        main.add({35: "B", 148: headline, 33: str(len(texts))}, texts)


def _ascii(text: str) -> str:
    """Return text in ASCII without SOH, at most 1,000 characters, for a FIX field."""
    return text.encode("ascii", "replace").decode("ascii").replace("\x01", " ")[:1000]
