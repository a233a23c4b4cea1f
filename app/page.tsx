/** The home page: the projects, or how to sign in. */
import { homedir } from 'node:os';
import { ProjectsHome } from '@/components/projects/projects-home';
import { SignIn } from '@/components/sign-in/sign-in';
import { getPageCaller } from '@/lib/server/auth';

export default async function Page() {
  const caller = await getPageCaller();
  return caller ? <ProjectsHome home={homedir()} /> : <SignIn />;
}
