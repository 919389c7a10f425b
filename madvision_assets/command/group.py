"""Groups of commands whose help says of each command its whole first sentence, over as many lines as that takes."""

import click

UNLIMITED = 10_000


class Group(click.Group):
    """A group; click's own cuts the sentences off where the line ends."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, each.get_short_help_str(UNLIMITED)) for name, each in commands if each and not each.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
