"""Every page and every fragment, by subject: one typed function each, and each for a look."""

from __future__ import annotations

from pathlib import Path

from chat.views.alerts import Alerts
from chat.views.assets import Assets
from chat.views.composer import Composer
from chat.views.days import Days
from chat.views.emoji_groups import emoji_files
from chat.views.engine import Engine
from chat.views.forms import ActionForms
from chat.views.help import Help
from chat.views.home import HomePages
from chat.views.ignored import Ignored
from chat.views.message_fragments import MessageFragments
from chat.views.own_settings import OwnSettings
from chat.views.pages import Pages
from chat.views.people import People
from chat.views.reactions import ReactionPages
from chat.views.rooms import Rooms
from chat.views.search import SearchPages
from chat.views.sheet_words import sheets_of_words
from chat.views.unread import UnreadFragments


class Renderer:
    def __init__(self, folder: Path, assets: Assets, can_edit: bool = True) -> None:
        """`can_edit` is whether a text can be changed at all once it is sent."""
        for name, body in (sheets_of_words() | emoji_files()).items():
            assets.add(name, body)
        self.engine = Engine(folder, assets, can_edit)
        self.messages = MessageFragments(self.engine)
        self.people = People(self.engine)
        self.alerts = Alerts(self.engine)
        self.composer = Composer(self.engine)
        self.forms = ActionForms(self.engine)
        self.rooms = Rooms(self.engine)
        self.own_settings = OwnSettings(self.engine)
        self.help = Help(self.engine)
        self.search = SearchPages(self.engine)
        self.home = HomePages(self.engine)
        self.days = Days(self.engine)
        self.reactions = ReactionPages(self.engine)
        self.ignored = Ignored(self.engine)
        self.unread = UnreadFragments(self.engine)
        self.pages = Pages(self.engine, self.people, self.rooms, self.ignored)
