/** The adapter of Holdfast for the black-box harness in `../shared/bench`: the one of this runner, loaded into plain Node. */
import { fileURLToPath } from 'node:url';
import { tsImport } from 'tsx/esm/api';

const { holdfastAdapter } = await tsImport('../peers/holdfast-terminal.ts', {
  parentURL: import.meta.url,
  tsconfig: fileURLToPath(new URL('../../tsconfig.json', import.meta.url)),
});

export default holdfastAdapter;
