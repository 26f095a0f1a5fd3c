// Questions to the desk in Python and its answers, over the widget's custom messages.

const SILENT_MS = 12000; // a kernel that is busy for longer is said to be so
const AGAIN_MS = [6000, 30000]; // after which a question is sent again: it or its answer was lost

export function connect(model, onSilence) {
  const view = Math.random().toString(36).slice(2);
  const waiting = new Map();
  let last = 0;

  const onMessage = (message, buffers) => {
    if (message.view !== view || !waiting.has(message.id)) return;
    const { resolve, reject, times } = waiting.get(message.id);
    waiting.delete(message.id);
    onSilence(false);
    if (message.error) reject(new Error(message.error));
    else resolve({ ...message, buffers: buffers ?? [], is_again: times > 0 });
  };
  model.on("msg:custom", onMessage);

  const watch = setInterval(() => {
    const oldest = Math.min(...[...waiting.values()].map((w) => w.since));
    if (performance.now() - oldest > SILENT_MS) onSilence(true);
    for (const one of waiting.values())
      if (performance.now() - one.since > AGAIN_MS[one.times]) {
        one.times += 1;
        one.send();
      }
  }, 2000);

  return {
    ask(kind, values = {}, buffers = []) {
      const id = ++last;
      return new Promise((resolve, reject) => {
        const send = () => model.send({ ...values, kind, id, view }, undefined, buffers);
        waiting.set(id, { resolve, reject, send, times: 0, since: performance.now() });
        send();
      });
    },
    close() {
      clearInterval(watch);
      model.off("msg:custom", onMessage);
    },
  };
}
