/* What can be told of sessions from two looks at them. */

/** Set the messages per second of each session, from what was received since the last look. */
export function rate(sessions, earlier) {
  const now = performance.now();
  const before = new Map(earlier.map((one) => [one.session, one]));
  for (const one of sessions) {
    one.at = now;
    const last = before.get(one.session);
    if (last && last.epoch === one.epoch && now > last.at) {
      one.rate = Math.max(0, one.received - last.received) / ((now - last.at) / 1000);
    }
  }
}
