/** The frame of every page: fonts, theme before the first paint, and what the client parts stand on. */
import { GeistMono } from 'geist/font/mono';
import { GeistSans } from 'geist/font/sans';
import type { Metadata, Viewport } from 'next';
import type { ReactNode } from 'react';
import { Providers } from '@/components/data/providers';
import { PREFERENCES_SCRIPT } from '@/components/ui/preferences-script';
import { getPageCaller } from '@/lib/server/auth';
import './globals.css';

export const metadata: Metadata = {
  description: 'A browser workspace of terminals that hold fast',
  applicationName: 'Holdfast',
  manifest: '/manifest.webmanifest',
  icons: {
    icon: [
      { url: '/favicon.svg', type: 'image/svg+xml' },
      { url: '/icon-192.png', type: 'image/png', sizes: '192x192' },
    ],
    apple: '/apple-touch-icon.png',
  },
  robots: { index: false, follow: false },
  referrer: 'no-referrer',
  formatDetection: { telephone: false },
};

export const viewport: Viewport = {
  width: 'device-width',
  initialScale: 1,
  viewportFit: 'cover',
  // A phone's keyboard makes the page smaller, so that the cursor stays above it.
  interactiveWidget: 'resizes-content',
  themeColor: [
    { media: '(prefers-color-scheme: light)', color: '#f6f7f8' },
    { media: '(prefers-color-scheme: dark)', color: '#131619' },
  ],
};

export default async function Layout({ children }: { children: ReactNode }) {
  const caller = await getPageCaller();
  return (
    <html lang="en" className={`${GeistSans.variable} ${GeistMono.variable}`} suppressHydrationWarning>
      <head>
        {/* biome-ignore lint/security/noDangerouslySetInnerHtml: a constant of ours that must run before the first paint */}
        <script dangerouslySetInnerHTML={{ __html: PREFERENCES_SCRIPT }} />
      </head>
      <body>
        <Providers isSignedIn={caller !== null}>{children}</Providers>
      </body>
    </html>
  );
}
