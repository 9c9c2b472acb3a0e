/**
 * The process on one end of a measurement. The runner forks it with the URL of a module and the name
 * of a function in it (a role); the role returns an object whose methods the runner then calls.
 */

const [moduleUrl, role] = process.argv.slice(2);

process.once('message', async (options) => {
  /** @type {Record<string, (argument: unknown) => unknown>} */
  let methods;
  try {
    const module = await import(moduleUrl);
    methods = await module[role](options);
  } catch (error) {
    process.send?.({ id: 0, error: describe(error) });
    return;
  }
  process.on('message', async ({ id, method, argument }) => {
    try {
      process.send?.({ id, value: await methods[method](argument) });
    } catch (error) {
      process.send?.({ id, error: describe(error) });
    }
  });
  process.send?.({ id: 0 });
});

process.once('disconnect', () => process.exit(0));

/** @param {unknown} error */
function describe(error) {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
