/* Who wants to know what happened; and drawing at most once a frame. */

export class Emitter {
  #listeners = new Map();

  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    this.#listeners.get(type).add(listener);
    return this;
  }

  off(type, listener) {
    this.#listeners.get(type)?.delete(listener);
  }

  /** A promise of the next time; `wait` milliseconds at most, then it rejects. */
  next(type, wait) {
    return new Promise((resolve, reject) => {
      const listeners = this.on(type, happened).#listeners.get(type);
      const timer = setTimeout(() => {
        listeners.delete(happened);
        reject(new Error(`nothing happened: ${type}`));
      }, wait);
      function happened(detail) {
        clearTimeout(timer);
        listeners.delete(happened);
        resolve(detail);
      }
    });
  }

  emit(type, detail) {
    for (const listener of this.#listeners.get(type) ?? []) listener(detail);
  }
}

/** A function that makes `draw` run once in the next frame, however often it is called. */
export function oncePerFrame(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
}
