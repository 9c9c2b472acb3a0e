// A child process of the demo, seen from the inside: answers the parent's calls until the parent goes.

/** Offers `methods` to the parent. */
export function serve(methods) {
  process.on('message', ({ id, method, argument }) => {
    Promise.resolve()
      .then(() => methods[method](argument))
      .then(
        (result) => ({ id, result }),
        (error) => ({ id, error: `${error.name}: ${error.message}` }),
      )
      .then((answer) => {
        if (process.connected) process.send(answer);
      });
  });
  process.on('disconnect', () => {
    process.exit();
  });
  // Ctrl-C reaches the whole group. The parent decides, and its end is ours.
  process.on('SIGINT', () => {});
}

/** Tells the parent how many bytes have arrived. */
export function reportProgress(bytes) {
  if (process.connected) process.send({ progress: bytes });
}
