"""Comparing pictures of a page."""

from __future__ import annotations

import base64

from playwright.async_api import FloatRect, Page

# Chromium draws the same pixel now and then by a 255th otherwise.
UNSEEN = 1
FARTHEST = """async pictures => {
  const [one, other] = await Promise.all(pictures.map(async picture => {
    const bytes = Uint8Array.from(atob(picture), c => c.charCodeAt(0))
    const image = await createImageBitmap(new Blob([bytes]))
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d")
    canvas.drawImage(image, 0, 0)
    return canvas.getImageData(0, 0, image.width, image.height).data
  }))
  if (one.length !== other.length) return 255
  return one.reduce((most, c, n) => Math.max(most, Math.abs(c - other[n])), 0)
}"""


async def picture(page: Page, clip: FloatRect) -> bytes:
    return await page.screenshot(clip=clip, caret="hide")


async def look_the_same(page: Page, one: bytes, other: bytes) -> bool:
    """Whether nobody sees a difference between two pictures of the page; the page itself compares them."""
    if one == other:
        return True
    farthest = await page.evaluate(FARTHEST, [base64.b64encode(p).decode() for p in (one, other)])
    return bool(farthest <= UNSEEN)
