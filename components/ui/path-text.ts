/** Paths as people write them. */

/** The path with the home directory as `~`. */
export function shortPath(path: string, home: string): string {
  if (path === home) return '~';
  return path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}

/** The name that a project gets from its path: the last part. */
export function nameFromPath(path: string): string {
  return (
    path
      .split('/')
      .filter((part) => part !== '' && part !== '~')
      .at(-1) ?? ''
  ).slice(0, 64);
}
