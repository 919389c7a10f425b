"""Function words and the noises of speech by language (ISO 639-1): words that carry no topic."""

import re
import unicodedata
from collections.abc import Mapping

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def _listed(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


STOP_WORDS: Mapping[str, frozenset[str]] = {
    "en": _listed("""
  a about above after again all also am an and any are aren't as at back be because been before being below between
  both but by can can't could couldn't did didn't do does doesn't doing don don't down during each every few for from
  further get gets getting go goes going gonna got gotta had hasn't has haven't have having he he'd he'll he's her
  here here's hers him his how how's i i'd i'll i'm i've if in into is isn't it it'd it'll it's its itself just kind
  know let let's like lot lots made make makes making many may maybe me mean might more most much must my myself no
  nor not now of off on once one ones only or other our ours out over own put quite rather really said same say saying
  says see she she'd she'll she's should shouldn't so some something someone sort stuff such take than that that'd
  that's the their them then there there's these they they'd they'll they're they've thing things think this those
  through to too under until up upon us very want wants was wasn't way we we'd we'll we're we've well went were
  weren't what what's when where where's which while who who's whom why will with without won't would wouldn't yes yet
  you you'd you'll you're you've your yours yourself actually basically anything everything nothing anyone everyone
  come came look looking guess ah alright eh er ha haha hello hey hi hmm huh mhm mm oh ok okay please right thank
  thanks uh um wow yeah yep people person time times year years day days today two three first last next bit ever even
  never always still much good great big little new old around away though tell told talk talking talked ask asked
  start started give gave another different
  """),
    "de": _listed("""
  aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes anders auch auf aus
  bei beim bin bis bisschen bist bitte da dabei dadurch dafür dagegen daher dahin damit danach danke dann daran darauf
  daraus darf darin darüber darum das dass davon davor dazu dein deine deinem deinen deiner dem den denen denn der
  deren des deshalb dessen dich die dies diese diesem diesen dieser dieses dir doch dort du durch eben ein eine einem
  einen einer eines einfach einige einigen einmal er erst es etwa etwas euch euer eure eurem euren für ganz ganze
  ganzen gar gegen gehen geht gemacht genau genug gerade gern gerne gesagt geworden gibt ging gut gute guten hab habe
  haben habt halt hast hat hatte hatten hätte hätten heute hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren
  ihrer im immer in ins irgend irgendwann irgendwie irgendwo ist ja jede jedem jeden jeder jedes jemand jetzt kann
  kannst kein keine keinem keinen keiner können könnt könnte könnten kommen kommt lassen leute machen macht mal man
  manche mehr mein meine meinem meinen meiner meist mich mir mit muss müssen musste na nach nachdem ne nee nein nicht
  nichts nie niemand noch nun nur ob oder ohne okay schon sehen sehr sei seid sein seine seinem seinen seiner seit
  selber selbst sich sie sieht sind so sogar solche soll sollen sollte sollten sondern sonst sowas sozusagen tun tut
  über überhaupt übrigens um und uns unser unsere unserem unseren unserer unter viel viele vielen vielleicht vom von
  vor wann war waren wäre wären warum was weg weil weiß weiter welche welchem welchen welcher welches wenig wenn wer
  werde werden wie wieder will wir wird wirklich wirst wo wobei woher wohl wollen wollte wollten worden wurde wurden
  würde würden zu zum zur zwar zwei zwischen ach äh ähm aha hallo hm naja tja jahr jahre jahren tag tage zeit mal
  sagen sagt sag sache sachen ding dinge stück
  """),
    "fr": _listed("""
  à ai aie ailleurs ainsi allait aller alors après assez au aucun aucune aujourd'hui auquel aura aurait aussi autant
  autre autres aux avaient avais avait avant avec avez avoir avons beaucoup bien bon bonjour bonne bref c'est c'était
  ça car ce ceci cela celle celles celui cent ces cet cette ceux chaque chez chose choses ci comme comment contre
  d'abord d'accord d'ailleurs d'un d'une dans de déjà depuis des dès deux devant dire dit dois doit donc dont du elle
  elles en encore enfin entre es est et étaient était étant été être eu euh eux fait faire fais faut fois font grand
  grande gros hein hier ici il ils j'ai j'avais j'étais je jour jours jusque juste l'on la là laquelle le lequel les
  lesquels leur leurs lors lorsque lui m'a ma mais mal me même mêmes merci mes mettre mieux moi moins mon n'a n'est
  n'y ne ni non nos notre nous on ont ou où oui ouais par parce parfois parler parmi pas pendant personne personnes
  petit petite peu peut peux plus plusieurs plutôt point pour pourquoi pourtant pouvait pouvez pouvoir près presque
  prendre puis puisque qu'elle qu'il qu'ils qu'on qu'un qu'une quand que quel quelle quelles quelqu'un quelque
  quelques quels qui quoi rien s'est s'il sa sais sait sans savoir se sera serait ses seul si sinon sois soit sommes
  son sont sous souvent suis sur t'as ta tant te tel telle tellement temps tes toi ton toujours tous tout toute toutes
  très trois trop truc tu un une va vais vas vers veut veux viens vient voici voilà voir vois vont vos votre voulait
  vous vraiment vu y a an ans année années aimez eh ben bah ah oh ok d l j m n qu s t c y'a
  """),
    "es": _listed("""
  a acá además ahí ahora al algo alguien algún alguna algunas alguno algunos allá allí ante antes aquel aquella
  aquello aquellos aquí así aun aún aunque bastante bien buen buena bueno buenos cada casi cierto claro como cómo con
  conmigo contra cosa cosas creo cual cuál cuales cualquier cuando cuándo cuanto cuánto da dar de debe deben decir del
  demás dentro desde después dice dicho dices dijo donde dónde dos durante e él el ella ellas ello ellos en entonces
  entre era eran eres es esa esas ese eso esos esta está estaba estaban estamos están estar estas este esto estos
  estoy etc fue fueron fui gente gracias gran grande ha haber había habían hace hacemos hacen hacer hacia hago han
  hasta hay haya he hecho hemos hizo hola hoy igual incluso ir jamás la las le les lo los luego más mas me mejor menos
  mi mí mía mientras mío mis misma mismo mismos mucha muchas mucho muchos muy nada nadie ni ningún ninguna ninguno no
  nos nosotros nuestra nuestras nuestro nuestros nunca o os otra otras otro otros para parece parte pero persona
  personas poco pocos poder podemos podía por porque por qué posible pues puede pueden puedes puedo que qué querer
  quería quien quién quiere quieren quiero saber sabes sé se sea sean según ser será si sí sido siempre siendo sin
  sino sobre sois solamente solo sólo somos son soy su sus suyo tal también tampoco tan tanto te tendrá tenemos tener
  tengo tenía tiempo tiene tienen tienes toda todas todavía todo todos trabajo tras tres tu tú tus tuvo un una unas
  uno unos usted ustedes va vale vamos van vas veces ver verdad vez voy y ya yo día días año años eh ah oh este bueno
  """),
    "it": _listed("""
  a abbastanza abbiamo ad adesso agli ai al alcuni alcune alla alle allo allora altra altre altri altro anche ancora
  andare anni anno appena appunto assolutamente avere aveva avevano avevo avete bella bello bene buono c'è c'era che
  chi ci ciao ciò circa come con così cosa cose cui da dal dalla dalle dai dei del dell della delle dello dentro deve
  di dice dire dirà diciamo dopo dove due dunque e ecco ed era erano ero esempio essere è fa faccio facciamo fai fanno
  fare fatto fino forse fra fu fuori già gente giorno giorni gli grande grandi grazie ha hai hanno ho i il in infatti
  infine insomma invece io la là lavoro le lei li lì lo loro lui ma magari mai male me meglio meno mentre mi mia mie
  miei mio modo molta molte molti molto ne né nei nel nell nella nelle nello nemmeno nessun nessuna nessuno niente no
  noi non nostra nostro nostri nulla o ogni oggi oltre ok oppure ora ossia parte pensare per perché perciò però
  persona persone più piuttosto po poco poi posso possiamo possono potere prima primo prendere proprio può puoi pure
  qua qual qualche qualcosa qualcuno quale quali quando quanto quasi quel quella quelle quelli quello questa queste
  questi questo qui quindi sa sai sapere sarà sarebbe se sé sei sempre senza si sì sia siamo siano siete sono sopra
  soprattutto sotto sta stai stanno stare stata state stati stato stesso sto su sua sue sugli sui sul sulla sulle suo
  suoi tanta tanti tanto te tempo ti tra tre troppo tu tua tuo tuoi tutta tutte tutti tutto un una uno va vabbè vai
  vanno vedere veramente vero verso vi via vogliamo voglio voi volta volte vostra vostro vuoi vuole eh ah oh beh mah
  """),
    "pt": _listed("""
  a acho agora ai aí ainda algo alguém algum alguma algumas alguns ali além ano anos antes ao aos apenas aquela aquele
  aquelas aqueles aquilo aqui as às assim até através bastante bem boa bom cada cara cerca certo claro coisa coisas
  com como contra cá da dá daquele dar das de dela dele deles demais dentro depois desde dessa desse deste deve dia
  dias disse disso diz dizer do dois dos duas durante e é ela elas ele eles em embora enquanto então entre era eram és
  essa essas esse esses esta está estamos estão estar estas estava estavam este estes estou eu faz fazem fazer fez
  fica ficar foi for foram fosse fui gente geral grande há hein hoje ia ir isso isto já jeito lá lhe lhes lo logo mais
  mal mas me mesma mesmo meu meus mim minha minhas muita muitas muito muitos na nada não nas nela nele nem nenhum
  nenhuma ninguém no nos nós nossa nossas nosso nossos num numa nunca o obrigado obrigada olá onde ora os ou outra
  outras outro outros para pela pelas pelo pelos pequeno pessoa pessoas pode podem poder podia pois ponto por porque
  porquê pouco pra pro primeiro própria próprio qual quais qualquer quando quanto quase que quê quem quer querer quero
  sabe saber se seja sem sempre sendo ser será seria seu seus si sido sim só sob sobre somos sou sua suas tal também
  tanto tão te tem têm tempo tenho ter teu teve ti tinha tinham tipo toda todas todo todos trabalho três tu tua tudo
  um uma umas uns vai vamos vão ver vez vezes vem você vocês vou né tá eh ah oh ok lado
  """),
    "nl": _listed("""
  aan achter af al alle alleen allemaal alles als altijd ander andere anders bij beetje behalve ben bent best beter
  bijna bijvoorbeeld binnen blijven boven bovendien buiten daar daarna daarom daarvan dag dagen dan dat de deze denk
  denken dezelfde die dingen ding dit doe doen doet door dus echt een eens eerst eerste eigenlijk elk elke en enige er
  ergens even gaan gaat ga gedaan geen gehad geweest geworden gewoon gezegd goed goede graag groot grote haar had
  hadden hallo heb hebben hebt heel heeft hem hen het hetzelfde hier hij hoe hoor hun iedere iedereen iemand iets ik
  in inderdaad is ja jaar jaren je jij jou jouw jullie kan kijk kijken komen komt konden kon kunnen kunt laat laten
  later leuk maar maakt mag maken man me meer meest meeste men mensen met mezelf mij mijn minder misschien moest moet
  moeten mogelijk mogen na naar natuurlijk nee net niemand niet niets niks nog nooit nou nu of ofzo om omdat onder ons
  onze ook op opnieuw over paar per precies samen se sinds soms staan staat te tegen ten ter terug terwijl tijd toch
  toen tot tussen twee u uit uw vaak van vanaf vandaag vandaan veel ver verder vind vinden voor vooral voordat waar
  waarom wanneer want waren was wat we weer weet weg wel welke werd werden weten wie wij wil willen worden wordt wou
  ze zeg zeggen zegt zei zeker zelf zelfs zich zie zien ziet zij zijn zit zo zoals zou zouden zonder zulke zullen eh
  uh uhm ah oh oké ok hè
  """),
}
