/* A canvas that is as sharp as the screen and is drawn again when it changes its size. */

import { oncePerFrame } from "../lib/events.js";

/** Calls `paint(context, width, height, colours)` once a frame when `again()` was called. */
export function sharpCanvas(canvas, paint) {
  const again = oncePerFrame(() => {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    paint(context, width, height, colours());
  });
  new ResizeObserver(again).observe(canvas);
  onColours(again);
  return again;
}

/** Call `draw` when the colours have changed. */
export function onColours(draw) {
  addEventListener("themechange", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

/** The colours of the theme by their names, and its fonts. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const found = {};
  for (const name of ["text", "muted", "line", "buy", "sell", "buy-soft", "sell-soft", "accent", "card"]) {
    found[name] = style.getPropertyValue(`--${name}`).trim();
  }
  const family = style.getPropertyValue("--mono");
  return { ...found, family, font: `11px ${family}` };
}

/** Round steps for an axis: about `wanted` of them between two values. */
export function ticks(low, high, wanted) {
  const raw = (high - low) / Math.max(wanted, 1);
  if (!(raw > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= raw);
  const found = [];
  const slack = 1e-9;
  for (let count = Math.ceil(low / step - slack); count * step <= high + step * slack; count += 1) {
    found.push(count * step);
  }
  return found;
}

/** A label of an axis. It marks a place on the screen; amounts are shown from their text. */
export function axisText(value, digits) {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
