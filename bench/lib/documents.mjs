import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

const BEGIN = '<!-- bench:begin -->';
const END = '<!-- bench:end -->';

/**
 * Replaces what stands between the markers of a document. A document without markers gets them at its
 * end, a missing document is begun.
 *
 * @param {string} file
 * @param {string} heading  of the section to add when there are no markers
 * @param {string} block
 */
export async function replaceBlock(file, heading, block) {
  const marked = `${BEGIN}\n\n${block}\n\n${END}`;
  const text = await readFile(file, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  await mkdir(dirname(file), { recursive: true });
  if (begin === -1 && end === -1) {
    const before = text === '' ? '' : `${text.trimEnd()}\n\n`;
    await writeFile(file, `${before}${heading}\n\n${marked}\n`);
  } else if (begin !== -1 && begin < end) {
    await writeFile(file, text.slice(0, begin) + marked + text.slice(end + END.length));
  } else {
    throw new Error(`${file}: ${BEGIN} and ${END} do not enclose anything`);
  }
}
